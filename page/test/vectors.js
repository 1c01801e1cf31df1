// Makes crates/klopf-spa/vectors/pages.json: what Rust must seal, and src/sealed.js must open.
//
// usage: node test/vectors.js

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';

import { gcmsiv } from '@noble/ciphers/aes.js';
import { argon2id } from '@noble/hashes/argon2.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';

import { ascii, joined, number } from '../src/bytes.js';

const ABOUT = 'Section 5, "Page". `own` is what tokens of the key are made with, `passphrase` as it is hashed, `key` '
    + 'what Argon2id makes of it, `seal` the key of the seal of tokens, `data` the additional data, `plain` what is '
    + 'sealed. A vector with `refused` must not open with its passphrase.';

const chance = (name, length) => createHash('sha256').update(`klopf page vector: ${name}`).digest().subarray(0, length);
const hex = (bytes) => Buffer.from(bytes).toString('hex');

function vector(name, { passphrase = 'correct horse battery', cost = [64, 1, 1], mail = '', doors = ['ssh'], device = 0 }) {
    const [memory, passes, lanes] = cost;
    const [salt, pkS, id] = [['salt', 16], ['pkS', 32], ['id', 8]].map(([what, length]) => chance(what + name, length));
    const own = joined(chance('psk', 32), chance('device', device));
    const key = argon2id(ascii(passphrase), salt, { m: memory, t: passes, p: lanes, dkLen: 32 });
    const seal = hkdf(sha256, own, ascii('klopf'), ascii('klopf token 1 seal'), 32);
    const head = joined([1], number(memory, 4), [passes, lanes], salt);
    const data = joined(ascii('klopf page 1'), head);
    const texts = [mail, ...doors].flatMap((text) => [text.length, ...ascii(text)]);
    const plain = joined(pkS, id, seal, texts);
    const sealed = joined(head, gcmsiv(key, new Uint8Array(12), data).encrypt(plain));
    const bytes = { salt, pkS, id, own, key, seal, data, plain, sealed };
    const inHex = Object.fromEntries(Object.entries(bytes).map(([field, value]) => [field, hex(value)]));
    return { name, passphrase, memory, passes, lanes, mail, doors, ...inHex };
}

function refused(name, change) {
    const { passphrase, sealed } = vector(name, {});
    return { name, passphrase, sealed, ...change(passphrase, Buffer.from(sealed, 'hex')), refused: true };
}

/** Another bit in one byte, counted from the end if below 0. */
const flip = (at) => (_, sealed) => {
    sealed[at < 0 ? sealed.length + at : at] ^= 2;
    return { sealed: hex(sealed) };
};

const vectors = [
    vector('one door', {}),
    vector('what klopf page makes', { cost: [65536, 3, 4], mail: 'knock@example.org', doors: ['ssh', 'web'] }),
    vector('key of one device', { device: 16, cost: [256, 2, 2], doors: ['a', 'B_.-'.repeat(16)] }),
    vector('longest mail address', { mail: `${'m'.repeat(242)}@example.org` }),
    refused('another passphrase', () => ({ passphrase: 'correct horse batterY' })),
    refused('flipped bit in the salt', flip(22)),
    refused('flipped bit in the passes', flip(5)),
    refused('flipped bit in a key', flip(23)),
    refused('flipped bit in the tag', flip(-1)),
    refused('version 3', flip(0)),
    refused('cut off', (_, sealed) => ({ sealed: hex(sealed.subarray(0, -1)) })),
];
const out = new URL('../../crates/klopf-spa/vectors/pages.json', import.meta.url);
writeFileSync(out, `${JSON.stringify({ about: ABOUT, vectors }, null, 1)}\n`);
