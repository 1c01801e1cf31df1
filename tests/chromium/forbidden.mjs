#!/usr/bin/env node
// Shows that a page of `klopf page` cannot reach anybody, even if somebody's script ran in it: tries each way there is,
// towards a server of its own, which must hear nothing; and runs nothing that is put into the page later.
//
// usage: node forbidden.mjs FILE

import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { Browser } from './browser.mjs';

const heard = [];
const server = createServer((socket) => {
    socket.once('data', (data) => heard.push(String(data).split('\r\n')[0]));
    socket.on('error', () => {});
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const to = `127.0.0.1:${server.address().port}`;

const TRIES = {
    fetch: `fetch('http://${to}/fetch')`,
    request: `new Promise((_, no) => { const x = new XMLHttpRequest(); x.onerror = no; x.open('GET', 'http://${to}/xhr'); x.send(); })`,
    socket: `new Promise((_, no) => { new WebSocket('ws://${to}/socket').onerror = no; })`,
    events: `new Promise((_, no) => { new EventSource('http://${to}/events').onerror = no; })`,
    beacon: `navigator.sendBeacon('http://${to}/beacon') && Promise.reject('queued')`,
    image: `new Promise((_, no) => { const i = new Image(); i.onerror = no; i.src = 'http://${to}/image'; })`,
    frame: `add('iframe', { src: 'http://${to}/frame' })`,
    style: `add('link', { rel: 'stylesheet', href: 'http://${to}/style' })`,
    prefetch: `add('link', { rel: 'prefetch', href: 'http://${to}/prefetch' })`,
    object: `add('object', { data: 'http://${to}/object' })`,
    media: `add('video', { src: 'http://${to}/media' })`,
    font: `new FontFace('f', 'url(http://${to}/font)').load()`,
    worker: `new Promise((_, no) => { new Worker(URL.createObjectURL(new Blob(['1']))).onerror = no; })`,
    form: `add('form', { action: 'http://${to}/form', method: 'post' }).then((form) => { form.submit(); throw 'sent'; })`,
    script: `new Promise((_, no) => { add('script', { textContent: 'window.ran = 1' }); window.ran || no('blocked'); })`,
    handler: `new Promise((_, no) => {
        const b = document.createElement('b'); b.setAttribute('onclick', 'window.ran = 1'); b.click(); window.ran || no('blocked'); })`,
    markup: `Promise.resolve().then(() => { document.body.innerHTML += '<img src=http://${to}/markup>'; })`,
    evaluated: `new Promise((_, no) => { setTimeout(() => window.ran || no('blocked'), 50); try { setTimeout('window.ran = 1'); } catch {} })`,
};
const PREPARE = `window.add = async (name, set) => {
    const element = Object.assign(document.createElement(name), set);
    document.body.append(element);
    return element;
}`;

const browser = await Browser.start();
const complaints = [];
let status = 0;
try {
    for (const domain of ['Page', 'Runtime', 'Log']) {
        await browser.ask(`${domain}.enable`);
    }
    browser.on('Log.entryAdded', ({ entry }) => complaints.push(entry.text));
    await browser.ask('Page.navigate', { url: pathToFileURL(resolve(process.argv[2])).href });
    await browser.until(`document.querySelector('#unlock')?.hidden === false`);
    await browser.value(PREPARE);
    for (const [name, attempt] of Object.entries(TRIES)) {
        const patience = `new Promise((late) => setTimeout(() => late('nothing'), 300))`;
        const came = await browser.value(`Promise.race([Promise.resolve().then(() => ${attempt}), ${patience}])
            .then((value) => value === 'nothing' || value instanceof Element ? '' : 'it worked', () => '')`);
        if (came) {
            console.error(`${name}: ${came}`);
            status = 1;
        }
    }
    if (await browser.value('window.ran')) {
        console.error('what was put into the page was run');
        status = 1;
    }
} finally {
    await browser.end();
    server.close();
}
const blocked = complaints.filter((text) => /Content Security Policy|TrustedHTML|TrustedScript/.test(text));
console.log(`${Object.keys(TRIES).length} ways tried, ${blocked.length} complaints of the policy, heard: ${heard.join(', ') || 'nothing'}`);
if (process.env.VERBOSE) {
    complaints.forEach((text) => console.error(text));
}
process.exit(heard.length || blocked.length < 8 ? 1 : status);
