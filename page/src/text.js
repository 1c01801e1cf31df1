// A token as text, in the shape "plain": base32 (RFC 4648) in lower case of the token and its check, without padding.

import { joined, number } from './bytes.js';

const DIGITS = 'abcdefghijklmnopqrstuvwxyz234567';

/** CRC-16: polynomial 0x1021, initial value 0xffff, not reflected. */
export function check(bytes) {
    let crc = 0xffff;
    for (const byte of bytes) {
        crc ^= byte << 8;
        for (let bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
        }
    }
    return crc;
}

export function plainText(body) {
    let text = '';
    let bits = 0;
    let held = 0;
    for (const byte of joined(body, number(check(body), 2))) {
        held = (held << 8) | byte;
        bits += 8;
        for (; bits >= 5; bits -= 5) {
            text += DIGITS[(held >> (bits - 5)) & 31];
        }
        held &= (1 << bits) - 1;
    }
    return bits ? text + DIGITS[(held << (5 - bits)) & 31] : text;
}
