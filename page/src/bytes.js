// Bytes, numbers and texts.

export const ascii = (text) => new TextEncoder().encode(text);

/** All parts in one, one after the other. */
export const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

/** A number in so many bytes, big-endian. It may be greater than what bit operators take. */
export const number = (value, length) =>
    Uint8Array.from({ length }, (_, at) => Math.floor(value / 256 ** (length - 1 - at)) % 256);

/** The number in these bytes, big-endian. */
export const value = (bytes) => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

/** Base64url without padding. */
export const fromBase64 = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (character) => character.charCodeAt(0));
