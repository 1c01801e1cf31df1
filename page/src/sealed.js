// Opens what a passphrase has sealed into the page: docs/PROTOCOL.md, section 5, "Page".

import { gcmsiv } from '@noble/ciphers/aes.js';
import { argon2idAsync } from '@noble/hashes/argon2.js';

import { ascii, joined, value } from './bytes.js';

const VERSION = 1;
const HEAD = 23;

/** White space around the words of a passphrase does not count, and it may be any and as much as one likes. */
const folded = (passphrase) => passphrase.split(/[ \t\r\n]+/).filter(Boolean).join(' ');

/**
 * @param {Uint8Array} sealed
 * @param {string} passphrase
 * @param {(done: number) => void} progress is told how far it is, 0 to 1
 * @returns {Promise<{server: Uint8Array, id: Uint8Array, seal: Uint8Array, mail: string, doors: string[]} | null>}
 *     null if it is not this passphrase, or one bit of the page is another one
 */
export async function openSealed(sealed, passphrase, progress = () => {}) {
    const head = sealed.subarray(0, HEAD);
    if (head[0] !== VERSION) {
        return null;
    }
    const key = await argon2idAsync(ascii(folded(passphrase)), head.subarray(7), {
        m: value(head.subarray(1, 5)),
        t: head[5],
        p: head[6],
        dkLen: 32,
        asyncTick: 50,
        onProgress: progress,
    });
    let plain;
    try {
        plain = gcmsiv(key, new Uint8Array(12), joined(ascii('klopf page 1'), head)).decrypt(sealed.subarray(HEAD));
    } catch {
        return null;
    }
    const [mail, ...doors] = texts(plain.subarray(72));
    return { server: plain.slice(0, 32), id: plain.slice(32, 40), seal: plain.slice(40, 72), mail, doors };
}

/** Texts, each after its length in a byte. */
function texts(bytes) {
    const all = [];
    for (let at = 0; at < bytes.length; at += 1 + bytes[at]) {
        all.push(new TextDecoder().decode(bytes.subarray(at + 1, at + 1 + bytes[at])));
    }
    return all;
}
