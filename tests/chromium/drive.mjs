#!/usr/bin/env node
// Opens a page of `klopf page` in Chromium, types as a person does, and prints the token.
//
// usage: node drive.mjs FILE --passphrase P --address A [--door D] [--minutes N] [--language de-DE]
//                       [--shots FOLDER] [--width N] [--height N] [--dark]
//
// Exit status 1, with what the page says, if it refuses; 2 if the page asks for anything but itself, or breaks its own
// policy. --shots leaves pictures in a folder.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { Browser } from './browser.mjs';

const text = { type: 'string' };
const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        passphrase: text, address: text, door: text, minutes: text, language: text, shots: text,
        width: { type: 'string', default: '320' }, height: { type: 'string', default: '640' }, dark: { type: 'boolean' },
    },
});
const [file] = positionals;
if (!file || values.passphrase === undefined || values.address === undefined) {
    console.error('usage: node drive.mjs FILE --passphrase P --address A [--door D] [--minutes N]');
    process.exit(64);
}

/** What the page did that it must not do. */
const misdeeds = [];
let pictures = 0;

async function shot(browser, name) {
    if (values.shots) {
        mkdirSync(values.shots, { recursive: true });
        const { data } = await browser.ask('Page.captureScreenshot', { captureBeyondViewport: true });
        writeFileSync(join(values.shots, `${++pictures}-${name}.png`), data, 'base64');
    }
}

/** What the page says is wrong; empty if nothing. */
const complaint = (browser) =>
    browser.value(`[...document.querySelectorAll('[role=alert]')].map((alert) => alert.hidden ? '' : alert.textContent).join('')`);

async function choose(browser, select, value) {
    const chosen = await browser.value(`(() => {
        const select = document.querySelector('${select}');
        select.value = ${JSON.stringify(value)};
        select.dispatchEvent(new Event('input', { bubbles: true }));
        return select.value;
    })()`);
    if (chosen !== value) {
        throw new Error(`the page has no ${value} in ${select}`);
    }
}

async function watch(browser, url) {
    for (const domain of ['Page', 'Runtime', 'Network', 'Log', 'Audits']) {
        await browser.ask(`${domain}.enable`);
    }
    browser.on('Network.requestWillBeSent', ({ request }) => {
        if (request.url !== url) {
            misdeeds.push(`it asks for ${request.url}`);
        }
    });
    browser.on('Runtime.exceptionThrown', ({ exceptionDetails }) => misdeeds.push(exceptionDetails.exception?.description));
    browser.on('Log.entryAdded', ({ entry }) => misdeeds.push(entry.text));
    browser.on('Audits.issueAdded', ({ issue }) => {
        if (issue.code === 'ContentSecurityPolicyIssue') {
            misdeeds.push(JSON.stringify(issue.details.contentSecurityPolicyIssueDetails));
        }
    });
}

async function drive(browser) {
    const url = pathToFileURL(resolve(file)).href;
    await watch(browser, url);
    await browser.ask('Emulation.setDeviceMetricsOverride', {
        width: Number(values.width), height: Number(values.height), deviceScaleFactor: 2, mobile: values.width < 600,
    });
    const scheme = { name: 'prefers-color-scheme', value: values.dark ? 'dark' : 'light' };
    await browser.ask('Emulation.setEmulatedMedia', { features: [scheme] });
    await browser.ask('Page.navigate', { url });
    await browser.until(`document.readyState === 'complete' && document.querySelector('#unlock')?.hidden === false`);
    await shot(browser, 'start');

    await browser.click('#passphrase');
    await browser.type(values.passphrase);
    await browser.click('#open');
    await shot(browser, 'working');
    await browser.until(`document.querySelector('#open').disabled === false`);
    const refused = await complaint(browser);
    if (refused) {
        await shot(browser, 'refused');
        return { refused };
    }
    await browser.click('#address');
    await browser.type(values.address);
    if (values.door !== undefined) {
        await choose(browser, '#door', values.door);
    }
    if (values.minutes !== undefined) {
        await choose(browser, '#time', values.minutes);
    }
    await shot(browser, 'asked');
    if (values.shots) {
        await browser.click('summary');
        await shot(browser, 'help');
        await browser.click('summary');
    }
    await browser.click('#ask > button');
    const wrong = await complaint(browser);
    if (wrong) {
        await shot(browser, 'wrong');
        return { refused: wrong };
    }
    const token = await browser.value(`document.querySelector('#token').textContent`);
    const link = await browser.value(`document.querySelector('#mail').href`);
    if (!link.startsWith('mailto:') || !link.endsWith(`&body=${token}`)) {
        misdeeds.push(`the link to a mail is ${link}`);
    }
    await browser.click('#copy');
    await browser.until(`document.querySelector('#copied').textContent`);
    await shot(browser, 'made');
    return { token, link };
}

const browser = await Browser.start(values);
let status = 0;
try {
    const { token, link, refused } = await drive(browser);
    if (token) {
        console.log(token);
        console.error(link);
    } else {
        console.error(refused);
        status = 1;
    }
} catch (error) {
    console.error(error.message);
    status = 2;
} finally {
    await browser.end();
}
if (misdeeds.length) {
    misdeeds.forEach((misdeed) => console.error(misdeed));
    status = 2;
}
process.exit(status);
