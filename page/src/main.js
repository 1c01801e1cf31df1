// The page: passphrase, then address, door and time, then the token.

import { readAddress } from './address.js';
import { fromBase64 } from './bytes.js';
import { openSealed } from './sealed.js';
import { plainText } from './text.js';
import { languageOf, textsOf } from './texts.js';
import { makeToken, nextCounter } from './token.js';

/** After so long without a touch all is forgotten, in milliseconds. */
const IDLE = 600_000;
/** In minutes; 0: as long as the door says. */
const TIMES = [0, 15, 60, 240, 720, 1440];

const language = languageOf(navigator.language);
const texts = textsOf(language);
const at = (id) => document.getElementById(id);

/** What the passphrase has opened; null before. */
let key = null;
let lastCounter = 0;
let idle;

// --- in the reader's language

document.documentElement.lang = language;
for (const element of document.querySelectorAll('[data-t]')) {
    element.textContent = texts[element.dataset.t];
}
for (const element of document.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', texts[element.dataset.label]);
}
const nameOfTime = (minutes) => (minutes < 60 ? texts.minutes(minutes) : texts.hours(minutes / 60));
at('time').replaceChildren(...TIMES.map((minutes) => new Option(minutes ? nameOfTime(minutes) : texts.usual, minutes)));

const dateAndTime = new Intl.DateTimeFormat(navigator.language, {
    weekday: 'short', day: 'numeric', month: 'short', year: 'numeric',
    hour: 'numeric', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
});
const timeAlone = new Intl.DateTimeFormat(navigator.language, { timeStyle: 'medium' });

function tick() {
    at('clock').textContent = dateAndTime.format(new Date());
}
tick();
setInterval(tick, 1000);

// --- what is shown

/** Says something in its place, or nothing. */
function say(id, text) {
    at(id).textContent = text;
    at(id).hidden = !text;
}

/** Says what is wrong with a field; nothing if it is right. */
function blame(field, text) {
    at(field).setAttribute('aria-invalid', !!text);
    if (text) {
        at(field).focus();
    }
}

function showPassphrase(shown) {
    at('passphrase').type = shown ? 'text' : 'password';
    at('show').setAttribute('aria-pressed', shown);
    at('show').textContent = shown ? texts.hide : texts.show;
}

function forget() {
    key = null;
    for (const id of ['passphrase', 'address']) {
        at(id).value = '';
    }
    for (const id of ['ask', 'made', 'lock']) {
        at(id).hidden = true;
    }
    for (const id of ['unlock-error', 'address-error', 'address-note', 'token', 'copied', 'says']) {
        at(id).textContent = '';
    }
    at('door').replaceChildren();
    at('mail').removeAttribute('href');
    showPassphrase(false);
    at('unlock').hidden = at('about').hidden = false;
}

// --- passphrase

at('show').addEventListener('click', () => showPassphrase(at('passphrase').type === 'password'));

at('unlock').addEventListener('submit', async (event) => {
    event.preventDefault();
    say('unlock-error', '');
    blame('passphrase', '');
    if (!at('passphrase').value.trim()) {
        return refuse(texts.empty);
    }
    busy(true);
    let trouble = texts.wrong;
    try {
        const sealed = fromBase64(document.body.dataset.sealed);
        key = await openSealed(sealed, at('passphrase').value, (done) => (at('progress').value = done));
    } catch (error) {
        // No array can be had that is so long.
        trouble = error instanceof RangeError ? texts.noMemory : texts.wrong;
    }
    busy(false);
    if (!key) {
        return refuse(trouble);
    }
    at('passphrase').value = '';
    showPassphrase(false);
    at('door').replaceChildren(...key.doors.map((door) => new Option(door)));
    at('one-of').hidden = key.doors.length < 2;
    at('unlock').hidden = at('about').hidden = true;
    at('ask').hidden = at('lock').hidden = false;
    at('address').focus();
});

function refuse(why) {
    say('unlock-error', why);
    blame('passphrase', why);
}

function busy(on) {
    at('open').disabled = at('passphrase').readOnly = on;
    at('progress').value = 0;
    at('progress').hidden = !on;
}

// --- token

at('ask').addEventListener('input', () => {
    // What is shown is no longer what is asked for.
    at('made').hidden = true;
    say('address-error', '');
    blame('address', '');
    say('address-note', readAddress(at('address').value)?.note === 'inside' ? texts.inside : '');
});

at('ask').addEventListener('submit', (event) => {
    event.preventDefault();
    const typed = at('address').value;
    const address = readAddress(typed);
    const wrong = !address ? texts.noAddress : address.note === 'never' ? texts.never : '';
    say('address-error', wrong);
    blame('address', wrong);
    if (wrong) {
        return;
    }
    const now = new Date();
    lastCounter = nextCounter(lastCounter, now.getTime());
    const door = at('door').value;
    const claim = {
        address: address.bytes,
        door,
        time: Math.floor(now / 1000),
        counter: lastCounter,
        minutes: Number(at('time').value),
    };
    const token = plainText(makeToken(key, claim, crypto.getRandomValues(new Uint8Array(8))));
    at('token').textContent = token;
    at('says').textContent = texts.says(door, typed.trim(), timeAlone.format(now));
    at('mail').href = `mailto:${key.mail.replace(/[^\w.@+-]/g, encodeURIComponent)}`
        + `?subject=${encodeURIComponent(texts.subject)}&body=${token}`;
    say('copied', '');
    at('made').hidden = false;
    at('made').focus();
});

at('copy').addEventListener('click', async () => {
    getSelection().selectAllChildren(at('token'));
    let copied = true;
    try {
        await navigator.clipboard.writeText(at('token').textContent);
    } catch {
        // Older browsers, and those that do not trust files.
        copied = document.execCommand('copy');
    }
    say('copied', copied ? texts.copied : texts.notCopied);
});

// --- a borrowed computer keeps nothing

at('lock').addEventListener('click', () => {
    forget();
    at('passphrase').focus();
});
addEventListener('pagehide', forget);
for (const touch of ['pointerdown', 'keydown']) {
    addEventListener(touch, () => {
        clearTimeout(idle);
        idle = setTimeout(forget, IDLE);
    });
}

forget();
