"""`docs/PROTOCOL.md` in Python: a second implementation, for test vectors, written from that page alone.

What makes something returns every value on the way as well, under the names of the page. What opens something returns
what it says, or raises `Refused` with the name of the refusal; the exception's cause then says what was wrong.
"""

import base64
import ipaddress
import re

import standard
from standard import Refused

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
ENDPOINT = re.compile(r"[A-Za-z0-9_.:-]{1,253}")
NO_CODE = 0xFFFFFFFF


def number(data):
    return int.from_bytes(data, "big")


def need(holds, why):
    if not holds:
        raise Refused(why)


class Reader:
    """Takes bytes from the front; where there are too few it refuses."""

    def __init__(self, data):
        self.rest = data

    def take(self, count):
        need(count <= len(self.rest), "it is too short")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self, count):
        return number(self.take(count))

    def end(self):
        need(not self.rest, "something follows its end")


# --- 1. Keys


def hkdf(key, info, length):
    return standard.hkdf(key, b"klopf", info, length)


def person_keys(seed):
    x, v = hkdf(seed, b"klopf key 1 x25519", 32), hkdf(seed, b"klopf key 1 ed25519", 32)
    X, V = standard.x25519_public(x), standard.ed25519_public(v)
    return {"x": x, "X": X, "v": v, "V": V, "public": X + V, "id": key_id(X + V)}


def key_id(public):
    return standard.sha256(b"klopf key 1" + public)[:8]


def server_keys(pkS):
    return {
        "outer": hkdf(pkS, b"klopf packet 1 outer", 32),
        "hop": hkdf(pkS, b"klopf packet 1 hop", 32),
        "mask": hkdf(pkS, b"klopf token 1 mask", 32),
        "port": default_port(pkS),
    }


def to_text(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_text(text):
    """base64url without padding, read strictly: what is not exactly what `to_text` writes is refused."""
    need(re.fullmatch(r"[A-Za-z0-9_-]*", text), "a character that is not of base64url")
    need(len(text) % 4 != 1, "no bytes have a text of this length")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(to_text(data) == text, "unused bits are not zero")
    return data


def public_from_text(text):
    try:
        public = from_text(text)
        need(len(public) == 64, "a public key has 64 bytes")
    except Refused as why:
        raise Refused("bad-text") from why
    return public


# --- 2. Packet


def leasable(address):
    """Whether the address is one that a lease can be for."""
    mapped = address.version == 6 and address.ipv4_mapped
    broadcast = address == ipaddress.ip_address("255.255.255.255")
    return not (mapped or broadcast or address.is_unspecified or address.is_multicast or address.is_loopback)


def read_address(data):
    address = ipaddress.ip_address(data)
    need(leasable(address), "no lease can be for this address")
    return str(address)


def knock_head(claim):
    """The knock up to its signature."""
    allow, address = 0, b""
    if claim["address"] is not None:
        parsed = ipaddress.ip_address(claim["address"])
        allow, address = parsed.version, parsed.packed
    door = claim["door"].encode()
    return b"".join(
        (
            bytes([1, 1]),
            claim["time"].to_bytes(8, "big"),
            claim["counter"].to_bytes(8, "big"),
            claim["device"],
            bytes([allow]),
            address.ljust(16, b"\0"),
            claim["seconds"].to_bytes(4, "big"),
            (NO_CODE if claim["code"] is None else claim["code"]).to_bytes(4, "big"),
            bytes([len(door)]),
            door,
        )
    )


def make_packet(pkS, seed, psk, ikmE, nonce, length, claim, change={}):
    """A packet of `length` bytes. `change` has functions by the names of values, to make what must be refused."""
    made = {}

    def put(name, value):
        made[name] = change.get(name, lambda same: same)(value)
        return made[name]

    me = person_keys(seed)
    me_id = put("id", me["id"])
    put("outer", server_keys(pkS)["outer"])

    skE = put("skE", standard.derive_private_key(ikmE))
    shared_secret, enc = standard.auth_encap(pkS, me["x"], skE)
    enc, shared_secret = put("enc", enc), put("shared_secret", shared_secret)
    key, base_nonce = standard.key_schedule(shared_secret, b"klopf packet 1", psk, me_id)
    put("key", key)
    put("base_nonce", base_nonce)

    head = put("head", knock_head(claim))
    signed = put("signed", b"klopf knock 1" + pkS + me_id + enc + head)
    signature = put("signature", standard.ed25519_sign(me["v"], signed))
    knock = put("knock", head + signature)
    ciphertext = put("ciphertext", standard.chacha_seal(key, base_nonce, knock, b""))

    middle = me_id + enc + len(ciphertext).to_bytes(2, "big") + ciphertext
    middle = put("middle", middle.ljust(length - 28, b"\0"))
    put("packet", nonce + standard.chacha_seal(made["outer"], nonce, middle, b""))
    return made


def open_packet(packet, skS, known):
    """What a packet claims. `known` are (public, psk) of the keys that the server knows."""
    pkS = standard.x25519_public(skS)
    try:
        need(288 <= len(packet) <= 1200, "its length is not that of a packet")
        middle = standard.chacha_open(server_keys(pkS)["outer"], packet[:12], packet[12:], b"")
    except Refused as why:
        raise Refused("no-packet") from why

    keys = [(public, psk) for public, psk in known if key_id(public) == middle[:8]]
    if not keys:
        raise Refused("unknown-key") from Refused("the server has no key with this id")
    try:
        return open_middle(middle, skS, *keys[0])
    except Refused as why:
        raise Refused("forged") from why


def open_middle(middle, skS, public, psk):
    pkS = standard.x25519_public(skS)
    X, V = public[:32], public[32:]
    reader = Reader(middle)
    me_id, enc = reader.take(8), reader.take(32)
    ciphertext = reader.take(reader.number(2))
    need(not any(reader.rest), "the end is not zeros")

    shared_secret = standard.auth_decap(enc, skS, X)
    key, base_nonce = standard.key_schedule(shared_secret, b"klopf packet 1", psk, me_id)
    knock = standard.chacha_open(key, base_nonce, ciphertext, b"")
    claim, signature = read_knock(knock)
    standard.ed25519_verify(V, b"klopf knock 1" + pkS + me_id + enc + knock[:-64], signature)
    return claim


def read_knock(knock):
    reader = Reader(knock)
    need(reader.number(1) == 1, "its version is unknown")
    need(reader.number(1) == 1, "its kind is unknown")
    claim = {"time": reader.number(8), "counter": reader.number(8), "device": reader.take(16)}

    allow, address = reader.number(1), reader.take(16)
    need(allow in (0, 4, 6), "it is unknown whom to let in")
    size = {0: 0, 4: 4, 6: 16}[allow]
    need(not any(address[size:]), "the rest of the address is not zero")
    claim["address"] = read_address(address[:size]) if size else None

    claim["seconds"] = reader.number(4)
    code = reader.number(4)
    need(code <= 999999 or code == NO_CODE, "the code has more than six digits")
    claim["code"] = None if code == NO_CODE else code

    door = reader.take(reader.number(1)).decode("latin-1")
    need(NAME.fullmatch(door), "this is no name of a door")
    claim["door"] = door
    signature = reader.take(64)
    reader.end()
    return claim, signature


# --- Ports: the usual one (section 1) and the one that changes (section 3)


def default_port(pkS):
    return 1024 + number(hkdf(pkS, b"klopf packet 1 port", 4)) % 64512


def hop_port(pkS, time):
    """Where a packet made at `time`, in seconds, goes."""
    hop, step = server_keys(pkS)["hop"], time // 60
    mac = standard.hmac_sha256(hop, step.to_bytes(8, "big"))
    return {"hop": hop, "step": step, "mac": mac, "port": 1024 + number(mac[:4]) % 64512}


# --- 5. Tokens


def own_of(psk, device=None):
    """`own`: of a key that belongs to one device with its number behind."""
    return psk + (device or b"")


def masked(pkS, n, part):
    mask = server_keys(pkS)["mask"]
    return bytes(a ^ b for a, b in zip(part, standard.hmac_sha256(mask, n)))


def make_token(pkS, me_id, own, n, claim, change={}):
    """A token. `change` is as with `make_packet`."""
    made = {}

    def put(name, value):
        made[name] = change.get(name, lambda same: same)(value)
        return made[name]

    put("mask", server_keys(pkS)["mask"])
    hidden = put("hidden_id", masked(pkS, n, me_id[:4]))
    key = put("key", hkdf(own, b"klopf token 1 seal", 32))
    nonce = put("nonce", n + hidden)
    data = put("data", b"klopf token 1" + pkS + me_id)
    address = ipaddress.ip_address(claim["address"])
    plain = b"".join(
        (
            bytes([0x10 + address.version]),
            address.packed,
            door_hash(claim["door"]),
            claim["time"].to_bytes(4, "big"),
            claim["counter"].to_bytes(6, "big"),
            claim["minutes"].to_bytes(2, "big"),
        )
    )
    plain = put("plain", plain)
    put("token", nonce + standard.gcm_siv_seal(key, nonce, plain, data))
    return made


def open_token(token, pkS, known, doors):
    """What a token claims. `known` are (id, own) of the keys that the server knows, `doors` the names of its doors."""
    if len(token) not in (49, 61):
        raise Refused("no-token") from Refused("its length is not that of a token")
    prefix = masked(pkS, token[:8], token[8:12])
    keys = [key for key in known if key[0][:4] == prefix]
    if not keys:
        raise Refused("unknown-key") from Refused("the server has no key with this id")
    for me_id, own in keys:  # four bytes may be those of several
        try:
            nonce, data = token[:12], b"klopf token 1" + pkS + me_id
            plain = standard.gcm_siv_open(hkdf(own, b"klopf token 1 seal", 32), nonce, token[12:], data)
            return read_token(plain, doors)
        except Refused as why:
            cause = why
    raise Refused("forged") from cause


def read_token(plain, doors):
    reader = Reader(plain)
    size = {0x14: 4, 0x16: 16}.get(reader.number(1))
    need(size, "its first byte is unknown")
    claim = {"address": read_address(reader.take(size))}
    door = reader.take(4)
    named = [name for name in doors if door_hash(name) == door]
    claim["door"] = named[0] if named else None
    claim |= {"time": reader.number(4), "counter": reader.number(6), "minutes": reader.number(2)}
    reader.end()
    return claim


# --- 5. Shares


def gf_multiply(a, b):
    """In GF(2^8), modulo x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = a << 1, b >> 1
        if a > 0xFF:
            a ^= 0x11D
    return product


def gf_inverse(a):
    inverse = 1
    for _ in range(254):  # a^255 is 1
        inverse = gf_multiply(inverse, a)
    return inverse


def share_key(pkS):
    return hkdf(pkS, b"klopf share 1", 32)


def share_data(book):
    return b"klopf share 1" + book.encode()


def make_part(group, k, x, values):
    return group + bytes([16 * k + x]) + values


def seal_part(pkS, book, part):
    return standard.gcm_siv_seal(share_key(pkS), bytes(12), part, share_data(book))


def make_shares(pkS, token, k, books, group, coefficients):
    """The shares of a token. `coefficients` are those of x, x^2 and so on, each with a byte for each of the token."""

    def value_at(x):
        values, power = token, 1
        for coefficient in coefficients:
            power = gf_multiply(power, x)
            values = bytes(value ^ gf_multiply(factor, power) for value, factor in zip(values, coefficient))
        return values

    parts = [make_part(group, k, x, value_at(x)) for x in range(1, len(books) + 1)]
    shares = [seal_part(pkS, book, part) for book, part in zip(books, parts)]
    return {"key": share_key(pkS), "data": [share_data(book) for book in books], "parts": parts, "shares": shares}


def open_share(share, pkS, book):
    """What the share says that came by this guestbook."""
    try:
        need(len(share) in (70, 82), "its length is not that of a share")
        part = standard.gcm_siv_open(share_key(pkS), bytes(12), share, share_data(book))
        opened = {"group": part[:4], "k": part[4] >> 4, "x": part[4] & 0x0F, "values": part[5:]}
        need_sound(opened)
        return opened
    except Refused as why:
        raise Refused("no-token") from why


def need_sound(share):
    need(2 <= share["k"] <= 8, "k is not one that there is")
    need(1 <= share["x"] <= 8, "x is not one that there is")
    need(len(share["values"]) in (49, 61), "it is no share of a token")


def combine(shares):
    """The token of k shares, by Lagrange's interpolation at 0."""
    try:
        for share in shares:
            need_sound(share)
        same = {(share["group"], share["k"], len(share["values"])) for share in shares}
        need(len(same) == 1, "they are not of one token")
        need(len(shares) == shares[0]["k"], "they are not as many as are needed")
        need(len({share["x"] for share in shares}) == len(shares), "one is there twice")
    except Refused as why:
        raise Refused("no-token") from why

    token = bytes(len(shares[0]["values"]))
    for share in shares:
        weight = 1
        for other in shares:
            if other is not share:
                weight = gf_multiply(weight, gf_multiply(other["x"], gf_inverse(other["x"] ^ share["x"])))
        token = bytes(sum_so_far ^ gf_multiply(weight, value) for sum_so_far, value in zip(token, share["values"]))
    return token


# --- 5. Codes


def door_hash(door):
    return standard.sha256(b"klopf door" + door.encode())[:4]


def code_mask(pkS, tag):
    key = hkdf(pkS, b"klopf code 1 mask", 32)
    return {"mask_key": key, "mask": standard.hmac_sha256(key, tag)[:4]}


def make_code(pkS, me_id, own, door, sheet, index):
    place = (sheet * 32 + index).to_bytes(2, "big")
    key = hkdf(own, b"klopf code 1", 32)
    signed = b"klopf code 1" + pkS + me_id + door_hash(door) + place
    tag = standard.hmac_sha256(key, signed)[:7]
    mask = code_mask(pkS, tag)
    hidden = bytes(a ^ b for a, b in zip(place + me_id[:2], mask["mask"]))
    made = {"place": place, "key": key, "signed": signed, "tag": tag, "hidden": hidden, "paper_code": tag + hidden}
    return made | mask


def open_code(code, pkS, known, doors):
    """Which code it is, and of which door. `known` are (id, own) of the keys that the server knows."""
    if len(code) != 11:
        raise Refused("no-token") from Refused("its length is not that of a code")
    tag, mask = code[:7], code_mask(pkS, code[:7])["mask"]
    clear = bytes(a ^ b for a, b in zip(code[7:], mask))
    place = number(clear[:2])
    keys = [key for key in known if key[0][:2] == clear[2:]]
    if not keys:
        raise Refused("unknown-key") from Refused("the server has no key with this id")
    for me_id, own in keys:
        for door in doors:
            if make_code(pkS, me_id, own, door, place // 32, place % 32)["tag"] == tag:
                return {"sheet": place // 32, "index": place % 32, "door": door}
    raise Refused("forged") from Refused("the tag is of no such key and door")


# --- 7. Invitation

REPEATED = {6, 7, 12, 130, 131}
MAIL = re.compile(r"(?!@)[!-~]*@[!-~]*(?<!@)")
SHARED_DOOR = re.compile(r"[A-Za-z0-9_.-]{1,64} [2-8]( [A-Za-z0-9_.-]{1,64}){2,8}")


def fields_of(invitation):
    """The fields of an invitation as (tag, bytes), in their order."""
    told = [(1, invitation["key_name"].encode()), (2, invitation["pkS"]), (3, invitation["psk"])]
    told += [(4, invitation["seed"])] if invitation["seed"] else [(5, invitation["id"])]
    told += [(6, endpoint.encode()) for endpoint in invitation["endpoints"]]
    told += [(7, door.encode()) for door in invitation["doors"]]
    for tag, key, size in ((8, "port", 2), (9, "shape", 1), (10, "until", 8)):
        if invitation[key] is not None:
            told.append((tag, invitation[key].to_bytes(size, "big")))
    told += [(11, b"")] if invitation["no_clock"] else []
    told += [(12, door.encode()) for door in invitation["code_doors"]]
    told += [(128, b"")] if invitation["bound"] else []
    told += [(129, invitation["mail"].encode())] if invitation["mail"] else []
    for shared in invitation["shared_doors"]:
        told.append((130, " ".join([shared["door"], str(shared["k"]), *shared["books"]]).encode()))
    told += [(131, encoded_door(encoded)) for encoded in invitation["encoded_doors"]]
    return told + [(left["tag"], left["bytes"]) for left in invitation["left_aside"]]


def invitation_text(fields, version=1, checksum=None):
    """The text with these fields, whatever they are."""
    data = bytes([version]) + b"".join(bytes([tag, len(value)]) + value for tag, value in fields)
    return "klopf:" + to_text(data + (standard.sha256(data)[:4] if checksum is None else checksum))


def read_invitation(text):
    need(text.startswith("klopf:"), "bad-text")
    try:
        data = from_text(text[6:])
    except Refused as why:
        raise Refused("bad-text") from why
    need(len(data) >= 5, "truncated")
    need(standard.sha256(data[:-4])[:4] == data[-4:], "bad-checksum")
    need(data[0] == 1, "wrong-version")
    return read_fields(split_fields(data[1:-4]))


def split_fields(data):
    fields, reader = [], Reader(data)
    while reader.rest:
        try:
            fields.append((reader.number(1), reader.take(reader.number(1))))
        except Refused as why:
            raise Refused("truncated") from why
    for (tag, _), (following, _) in zip(fields, fields[1:]):
        again = tag == following and (tag in REPEATED or tag >= 132)
        need(tag < following or again, "bad-order")
    return fields


def read_fields(fields):
    known = {*range(1, 13), 128, 129, 130, 131}
    need(all(tag in known or tag >= 128 for tag, _ in fields), "unknown-field")
    found = {tag: [value for other, value in fields if other == tag] for tag in known}

    def one(tag, size=None):
        value = found[tag][0] if found[tag] else None
        need(value is None or size is None or len(value) == size, "bad-field")
        return value

    def texts(tag, form):
        values = [value.decode("latin-1") for value in found[tag]]
        need(all(form.fullmatch(value) for value in values), "bad-field")
        return values

    def whole(tag, size):
        value = one(tag, size)
        return None if value is None else number(value)

    need(all(found[tag] for tag in (1, 2, 3, 6, 7)) and (found[4] or found[5]), "missing-field")
    need(not (found[4] and found[5]), "bad-field")
    seed = one(4, 32)
    invitation = {
        "key_name": texts(1, NAME)[0],
        "pkS": one(2, 32),
        "psk": one(3, 32),
        "seed": seed,
        "id": person_keys(seed)["id"] if seed else one(5, 8),
        "endpoints": texts(6, ENDPOINT),
        "doors": texts(7, NAME),
        "port": whole(8, 2),
        "shape": whole(9, 1),
        "until": whole(10, 8),
        "no_clock": one(11, 0) is not None,
        "code_doors": texts(12, NAME),
        "bound": one(128, 0) is not None,
        "mail": texts(129, MAIL)[0] if found[129] else None,
        "shared_doors": [read_shared_door(text) for text in texts(130, SHARED_DOOR)],
        "encoded_doors": [read_encoded_door(value) for value in found[131]],
        "left_aside": [{"tag": tag, "bytes": value} for tag, value in fields if tag >= 132],
    }
    need(invitation["mail"] is None or 3 <= len(invitation["mail"]) <= 254, "bad-field")
    for kind in ("shared_doors", "encoded_doors"):
        doors = [of["door"] for of in invitation[kind]]
        need(len(set(doors)) == len(doors) and set(doors) <= set(invitation["doors"]), "bad-field")
    need(invitation["shape"] in (None, 0, 1, 2, 3), "bad-field")
    need(set(invitation["code_doors"]) <= set(invitation["doors"]), "bad-field")
    return invitation


def read_shared_door(text):
    door, k, *books = text.split(" ")
    need(int(k) <= len(books) and len(set(books)) == len(books), "bad-field")
    return {"door": door, "k": int(k), "books": books}


def encoded_door(told):
    from encoded import template_bytes  # which needs what is here

    return template_bytes(told["template"]) + told["door"].encode()


def read_encoded_door(value):
    from encoded import read_template

    door = value[5:].decode("latin-1")
    need(NAME.fullmatch(door), "bad-field")
    return {"door": door, "template": read_template(value[:5])}
