// Reads addresses as people type them.

/** The 4 bytes of an IPv4 address, or null. */
function readV4(text) {
    const parts = text.split('.');
    // A leading zero means octal to some programs.
    const sound = parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && part < 256);
    return sound ? Uint8Array.from(parts, Number) : null;
}

/** The 16 bytes of an IPv6 address, or null (RFC 4291, section 2.2). */
function readV6(text) {
    // The end may be written as an IPv4 address.
    const end = text.slice(text.lastIndexOf(':') + 1);
    if (end.includes('.')) {
        const v4 = readV4(end);
        if (!v4) {
            return null;
        }
        const group = (at) => ((v4[at] << 8) | v4[at + 1]).toString(16);
        text = `${text.slice(0, -end.length)}${group(0)}:${group(2)}`;
    }
    const halves = text.split('::').map((half) => (half ? half.split(':') : []));
    const missing = 8 - halves.flat().length;
    if (halves.length > 2 || (halves.length === 2 ? missing < 1 : missing !== 0)) {
        return null;
    }
    const groups = halves.length === 2 ? [...halves[0], ...Array(missing).fill('0'), ...halves[1]] : halves[0];
    if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) {
        return null;
    }
    return Uint8Array.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]));
}

/** Why no server lets an IPv4 address in, or what is odd about it; nothing for most. */
function noteV4([a, b, c, d]) {
    if (a === 127 || a >= 224 && a < 240 || a + b + c + d === 0 || a + b + c + d === 4 * 255) {
        return 'never';
    }
    const inside = a === 10 || a === 192 && b === 168 || a === 172 && b >> 4 === 1 || a === 169 && b === 254;
    // RFC 6598: what providers use between themselves and their customers.
    return inside || a === 100 && b >> 6 === 1 ? 'inside' : '';
}

function noteV6(bytes) {
    const zeros = bytes.findIndex((byte) => byte !== 0);
    if (bytes[0] === 255 || zeros === -1 || zeros === 15 && bytes[15] === 1) {
        return 'never';
    }
    return bytes[0] >> 1 === 0x7e || bytes[0] === 0xfe && bytes[1] >> 6 === 2 ? 'inside' : '';
}

/**
 * @param {string} text an IPv4 or IPv6 address
 * @returns {{bytes: Uint8Array, note: string} | null} its 4 or 16 bytes; note: `never` if no server lets it in, `inside`
 *     if it is of a private network, else empty. An IPv4 address written as an IPv6 one is that IPv4 address.
 */
export function readAddress(text) {
    // Pages that show addresses put brackets around them.
    const bare = text.trim().replace(/^\[(.*)\]$/, '$1');
    const v4 = readV4(bare);
    if (v4) {
        return { bytes: v4, note: noteV4(v4) };
    }
    const v6 = readV6(bare);
    if (!v6) {
        return null;
    }
    const mapped = v6.subarray(0, 10).every((byte) => byte === 0) && v6[10] === 255 && v6[11] === 255;
    return mapped ? { bytes: v6.slice(12), note: noteV4(v6.slice(12)) } : { bytes: v6, note: noteV6(v6) };
}
