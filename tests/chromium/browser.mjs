// Chromium without a window, driven through a pipe by the Chrome DevTools Protocol. Needs nothing but Node.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LIMIT_MS = 60_000;

export class Browser {
    #answers = new Map();
    #listeners = [];
    #number = 0;
    #session;

    /** Starts it. `language` as in de-DE. */
    static async start({ language = 'en-GB' } = {}) {
        const browser = new Browser();
        browser.folder = mkdtempSync(join(tmpdir(), 'klopf-chromium-'));
        const options = [
            '--headless', '--remote-debugging-pipe', '--no-first-run', '--disable-gpu', '--disable-dev-shm-usage',
            '--disable-background-networking', '--disable-component-update', '--disable-sync',
            `--lang=${language}`, `--accept-lang=${language}`, `--user-data-dir=${browser.folder}`,
            // Chromium's own sandbox cannot be had as root, nor in most containers.
            '--no-sandbox', 'about:blank',
        ];
        const environment = { ...process.env, LANGUAGE: language, HOME: browser.folder };
        const program = process.env.CHROMIUM ?? 'chromium';
        browser.child = spawn(program, options, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: environment });
        browser.ended = new Promise((resolve) => {
            browser.child.once('exit', resolve);
            browser.child.once('error', (error) => {
                browser.fail(`cannot start ${program}: ${error.message}`);
                resolve();
            });
        });
        browser.child.once('exit', () => browser.fail('Chromium has ended'));
        browser.limit = setTimeout(() => browser.fail(`no end within ${LIMIT_MS / 1000} s`), LIMIT_MS);
        browser.#listen();
        const { targetInfos } = await browser.#ask('Target.getTargets');
        const { targetId } = targetInfos.find(({ type }) => type === 'page');
        const { sessionId } = await browser.#ask('Target.attachToTarget', { targetId, flatten: true });
        browser.#session = sessionId;
        return browser;
    }

    /** Ends it, and what it has written to the disk. */
    async end() {
        clearTimeout(this.limit);
        this.child.kill('SIGKILL');
        await this.ended;
        rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    }

    /** All that waits, fails with this. */
    fail(why) {
        this.failure = why;
        for (const { reject } of this.#answers.values()) {
            reject(new Error(why));
        }
        this.#answers.clear();
    }

    /** Asks the page for something, as in Input.insertText. */
    ask(method, params) {
        return this.#ask(method, params, this.#session);
    }

    /** Calls back for each event of the page. */
    on(event, callback) {
        this.#listeners.push([event, callback]);
    }

    /** The value of an expression in the page; waits for a promise. */
    async value(expression) {
        const params = { expression, awaitPromise: true, returnByValue: true };
        const { result, exceptionDetails } = await this.ask('Runtime.evaluate', params);
        if (exceptionDetails) {
            throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
        }
        return result.value;
    }

    /** Waits until an expression in the page is true. */
    async until(expression) {
        for (;;) {
            if (await this.value(expression)) {
                return;
            }
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    }

    /** A click, or a touch, in the middle of an element. */
    async click(selector) {
        const { x, y } = await this.value(`(() => {
            const element = document.querySelector(${JSON.stringify(selector)});
            element.scrollIntoView({ block: 'center' });
            const { x, y, width, height } = element.getBoundingClientRect();
            return { x: x + width / 2, y: y + height / 2 };
        })()`);
        for (const type of ['mousePressed', 'mouseReleased']) {
            await this.ask('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
        }
    }

    /** Types key by key, as a person does. */
    async type(text) {
        for (const key of text) {
            await this.ask('Input.dispatchKeyEvent', { type: 'keyDown', key, text: key });
            await this.ask('Input.dispatchKeyEvent', { type: 'keyUp', key });
        }
    }

    #ask(method, params = {}, sessionId = undefined) {
        const id = ++this.#number;
        return new Promise((resolve, reject) => {
            if (this.failure) {
                reject(new Error(this.failure));
                return;
            }
            this.#answers.set(id, { resolve, reject, method });
            this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
        });
    }

    #listen() {
        let held = '';
        this.child.stdio[3].on('error', () => {});
        this.child.stdio[4].setEncoding('utf8').on('data', (chunk) => {
            const messages = (held + chunk).split('\0');
            held = messages.pop();
            messages.map((message) => JSON.parse(message)).forEach((message) => this.#take(message));
        });
    }

    #take({ id, method, params, result, error }) {
        if (!id) {
            this.#listeners.filter(([event]) => event === method).forEach(([, callback]) => callback(params));
            return;
        }
        const waiting = this.#answers.get(id);
        this.#answers.delete(id);
        if (error) {
            waiting?.reject(new Error(`${waiting.method}: ${error.message}`));
        } else {
            waiting?.resolve(result);
        }
    }
}
