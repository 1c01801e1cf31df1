"""The standards that the sealed knock is put together from, as far as it needs them.

X25519, Ed25519, ChaCha20-Poly1305 and AES come from the package cryptography (Debian: python3-cryptography, 38 or
later); what is put together from them is here: HKDF (RFC 5869), HPKE in mode AuthPSK (RFC 9180), AES-256-GCM-SIV
(RFC 8452), TOTP (RFC 6238). Nothing here runs in constant time: it is for public test vectors, not for keys in use.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Refused(Exception):
    """What cannot be opened or read; its text is the name of the refusal, or says what is wrong."""


# --- hashes


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac_sha256(key, message):
    return hmac.digest(key, message, "sha256")


def hkdf_expand(prk, info, length):
    """RFC 5869, section 2.3."""
    out, block = b"", b""
    for count in range(1, -(-length // 32) + 1):
        block = hmac_sha256(prk, block + info + bytes([count]))
        out += block
    return out[:length]


def hkdf(ikm, salt, info, length):
    """RFC 5869, extract and expand."""
    return hkdf_expand(hmac_sha256(salt, ikm), info, length)


# --- X25519, Ed25519, ChaCha20-Poly1305


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519_public(private):
    return raw(X25519PrivateKey.from_private_bytes(private).public_key())


def x25519(private, public):
    """RFC 7748; a shared secret of zeros is refused, as RFC 9180, section 7.1.4, asks."""
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused("a point of small order") from None


def ed25519_public(private):
    return raw(Ed25519PrivateKey.from_private_bytes(private).public_key())


def ed25519_sign(private, message):
    return Ed25519PrivateKey.from_private_bytes(private).sign(message)


def ed25519_verify(public, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Refused("the signature is wrong") from None


def chacha_seal(key, nonce, plain, data):
    return ChaCha20Poly1305(key).encrypt(nonce, plain, data)


def chacha_open(key, nonce, sealed, data):
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, data)
    except InvalidTag:
        raise Refused("the seal does not open") from None


# --- HPKE (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, mode AuthPSK
#
# The names are those of the RFC, where S is the sender and R the recipient.

KEM = b"KEM" + bytes([0x00, 0x20])
SUITE = b"HPKE" + bytes([0x00, 0x20, 0x00, 0x01, 0x00, 0x03])
MODE_AUTH_PSK = bytes([0x03])


def labeled_extract(suite, salt, label, ikm):
    """RFC 9180, section 4."""
    return hmac_sha256(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite, prk, label, info, length):
    """RFC 9180, section 4."""
    return hkdf_expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def derive_private_key(ikm):
    """DeriveKeyPair of RFC 9180, section 7.1.3; the private key."""
    return labeled_expand(KEM, labeled_extract(KEM, b"", b"dkp_prk", ikm), b"sk", b"", 32)


def extract_and_expand(dh, kem_context):
    """RFC 9180, section 4.1."""
    return labeled_expand(KEM, labeled_extract(KEM, b"", b"eae_prk", dh), b"shared_secret", kem_context, 32)


def auth_encap(pkR, skS, skE):
    """AuthEncap of RFC 9180, section 4.1, with the ephemeral key given: (shared_secret, enc)."""
    enc = x25519_public(skE)
    dh = x25519(skE, pkR) + x25519(skS, pkR)
    return extract_and_expand(dh, enc + pkR + x25519_public(skS)), enc


def auth_decap(enc, skR, pkS):
    """AuthDecap of RFC 9180, section 4.1: shared_secret."""
    dh = x25519(skR, enc) + x25519(skR, pkS)
    return extract_and_expand(dh, enc + x25519_public(skR) + pkS)


def key_schedule(shared_secret, info, psk, psk_id):
    """KeySchedule of RFC 9180, section 5.1, for mode AuthPSK: (key, base_nonce).

    The nonce of the first message, the only one here, is base_nonce itself."""
    psk_id_hash = labeled_extract(SUITE, b"", b"psk_id_hash", psk_id)
    info_hash = labeled_extract(SUITE, b"", b"info_hash", info)
    context = MODE_AUTH_PSK + psk_id_hash + info_hash
    secret = labeled_extract(SUITE, shared_secret, b"secret", psk)
    return labeled_expand(SUITE, secret, b"key", context, 32), labeled_expand(SUITE, secret, b"base_nonce", context, 12)


# --- AES-256-GCM-SIV (RFC 8452)


def aes(key, block):
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def padded(data):
    return data + bytes(-len(data) % 16)


def polyval(key, blocks):
    """RFC 8452, section 3. An element's first byte has the coefficients of x^0 to x^7, the lowest bit first."""
    modulus = 1 << 128 | 1 << 127 | 1 << 126 | 1 << 121 | 1
    h, total = int.from_bytes(key, "little"), 0
    for start in range(0, len(blocks), 16):
        total ^= int.from_bytes(blocks[start : start + 16], "little")
        product = 0
        for bit in range(128):
            if total >> bit & 1:
                product ^= h << bit
        for _ in range(128):  # divides by x^128, modulo the polynomial
            product = (product ^ modulus if product & 1 else product) >> 1
        total = product
    return total.to_bytes(16, "little")


def gcm_siv_keys(key, nonce):
    """RFC 8452, section 4: the keys of one message, for authentication and for encryption."""
    halves = [aes(key, count.to_bytes(4, "little") + nonce)[:8] for count in range(6)]
    return b"".join(halves[:2]), b"".join(halves[2:])


def gcm_siv_tag(key, nonce, plain, data):
    authentication, encryption = gcm_siv_keys(key, nonce)
    lengths = (8 * len(data)).to_bytes(8, "little") + (8 * len(plain)).to_bytes(8, "little")
    digest = bytearray(polyval(authentication, padded(data) + padded(plain) + lengths))
    for index, byte in enumerate(nonce):
        digest[index] ^= byte
    digest[15] &= 0x7F
    return aes(encryption, bytes(digest))


def gcm_siv_stream(key, nonce, tag, data):
    """AES in counter mode as RFC 8452, section 4, has it: 32 bits of counter, little-endian, in front."""
    _, encryption = gcm_siv_keys(key, nonce)
    first, rest = int.from_bytes(tag[:4], "little"), tag[4:15] + bytes([tag[15] | 0x80])
    out = b""
    for start in range(0, len(data), 16):
        stream = aes(encryption, ((first + start // 16) % 2**32).to_bytes(4, "little") + rest)
        out += bytes(a ^ b for a, b in zip(data[start : start + 16], stream))
    return out


def gcm_siv_seal(key, nonce, plain, data):
    tag = gcm_siv_tag(key, nonce, plain, data)
    return gcm_siv_stream(key, nonce, tag, plain) + tag


def gcm_siv_open(key, nonce, sealed, data):
    tag = sealed[-16:]
    plain = gcm_siv_stream(key, nonce, tag, sealed[:-16])
    if gcm_siv_tag(key, nonce, plain, data) != tag:
        raise Refused("the seal does not open")
    return plain


# --- TOTP (RFC 6238, with the truncation of RFC 4226)


def totp(secret, time, digits=6):
    """HMAC-SHA-1 and steps of 30 s from 1970 on: (step, code)."""
    step = time // 30
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    return step, (int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF) % 10**digits
