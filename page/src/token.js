// Makes tokens, byte by byte as docs/PROTOCOL.md has them in section 5.

import { gcmsiv } from '@noble/ciphers/aes.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';

import { ascii, joined, number } from './bytes.js';

/**
 * @param {{server: Uint8Array, id: Uint8Array, seal: Uint8Array}} key `pkS`, `id`, and the key of the seal
 * @param {{address: Uint8Array, door: string, time: number, counter: number, minutes: number}} claim the address in 4
 *     or 16 bytes; time in seconds
 * @param {Uint8Array} n 8 random bytes
 * @returns {Uint8Array} 49 or 61 bytes
 */
export function makeToken(key, claim, n) {
    const mask = hkdf(sha256, key.server, ascii('klopf'), ascii('klopf token 1 mask'), 32);
    const hidden = hmac(sha256, mask, n).subarray(0, 4).map((byte, at) => byte ^ key.id[at]);
    const head = joined(n, hidden);
    const sealed = gcmsiv(key.seal, head, joined(ascii('klopf token 1'), key.server, key.id)).encrypt(joined(
        [claim.address.length === 4 ? 0x14 : 0x16],
        claim.address,
        sha256(joined(ascii('klopf door'), ascii(claim.door))).subarray(0, 4),
        number(claim.time, 4),
        number(claim.counter, 6),
        number(claim.minutes, 2),
    ));
    return joined(head, sealed);
}

/**
 * The counter of a token that is made now: the clock, and above the last one in any case.
 * @param {number} last the counter of the last token; 0 before the first
 * @param {number} now milliseconds since 1970
 */
export const nextCounter = (last, now) => Math.max(last + 1, now);
