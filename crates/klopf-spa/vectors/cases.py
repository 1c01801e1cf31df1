"""What the vectors are made of: the keys, the claims, and what is done to the ones that must be refused.

Nothing is drawn here, so that making the vectors again gives the same files. A case is a dict with a name; one that
must be refused has `refused`, the name of the refusal, and `why`.
"""

import protocol
import standard


def chance(label, length=32):
    """Bytes that stand for random ones."""
    return standard.hkdf(label.encode(), b"klopf test vectors", b"", length)


SERVER = chance("server")
OTHER_SERVER = chance("another server")
SEED = chance("seed")
OTHER_SEED = chance("another seed")
PSK = chance("psk")
OTHER_PSK = chance("another psk")
DEVICE = chance("device", 16)
OTHER_DEVICE = chance("another device", 16)
PKS = standard.x25519_public(SERVER)
OTHER_PKS = standard.x25519_public(OTHER_SERVER)
PERSON = protocol.person_keys(SEED)
OTHER_PERSON = protocol.person_keys(OTHER_SEED)

START_OF_2026 = 1767225600
DOOR_64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_."


def flip(index, bit=0):
    """Flips one bit of bytes."""

    def change(data):
        data = bytearray(data)
        data[index] ^= 1 << bit
        return bytes(data)

    return change


def replace(start, new):
    """Replaces bytes from `start` on."""
    return lambda data: data[:start] + new + data[start + len(new) :]


def always(value):
    return lambda _: value


# --- keys


def keys():
    made = [
        {"name": f"person and server {i}", "seed": chance(f"seed {i}"), "skS": chance(f"server {i}")} for i in (1, 2)
    ]
    made += [
        {"name": "those of the packets", "seed": SEED, "skS": SERVER},
        {"name": "zeros", "seed": bytes(32), "skS": bytes(32)},
        {"name": "ones", "seed": b"\xff" * 32, "skS": b"\xff" * 32},
    ]
    text = protocol.to_text(PERSON["public"])
    bad = (
        ("padded text", text + "==", "a character that is not of base64url"),
        ("text in the other base64", "+/" + text[2:], "a character that is not of base64url"),
        ("text with a line's end", text + "\n", "a character that is not of base64url"),
        ("text with unused bits set", text[:-1] + chr(ord(text[-1]) + 1), "unused bits are not zero"),
        ("text of 63 bytes", protocol.to_text(PERSON["public"][:63]), "a public key has 64 bytes"),
        ("text of 65 bytes", protocol.to_text(PERSON["public"] + b"\0"), "a public key has 64 bytes"),
        ("text of a length that none has", text[:-1], "no bytes have a text of this length"),
    )
    return made + [{"name": name, "public_text": text, "refused": "bad-text", "why": why} for name, text, why in bad]


# --- packets


def packet(name, claim={}, length=512, skS=SERVER, seed=SEED, psk=PSK):
    usual = {
        "time": 1000 * START_OF_2026 + 1,
        "counter": 1,
        "device": DEVICE,
        "address": None,
        "seconds": 0,
        "code": None,
        "door": "ssh",
    }
    return {
        "name": name,
        "skS": skS,
        "seed": seed,
        "psk": psk,
        "ikmE": chance("ikmE of " + name),
        "nonce": chance("nonce of " + name, 12),
        "length": length,
        "claim": usual | claim,
    }


def packets():
    return [
        packet("observed address"),
        packet("IPv4 address claimed", {"address": "192.0.2.7", "seconds": 3600}, length=300),
        packet("IPv6 address claimed", {"address": "2001:db8::7:1", "door": "web-admin"}, length=700),
        packet("device without a clock", {"time": 0, "counter": 77}),
        packet("with a code", {"code": 123456}, length=901),
        packet("code 0", {"code": 0}),
        packet("greatest code", {"code": 999999}),
        packet("shortest packet", length=288),
        packet("shortest packet with the longest name of a door", {"door": DOOR_64}, length=288),
        packet("longest packet", length=1200),
        packet("name of a door of one character", {"door": "-"}),
        packet("smallest values", {"time": 1, "counter": 0, "device": bytes(16), "seconds": 1}),
        packet(
            "greatest values",
            {"time": 2**64 - 1, "counter": 2**64 - 1, "device": b"\xff" * 16, "seconds": 2**32 - 1, "door": DOOR_64},
        ),
        packet("another server, person and psk", {}, 1199, OTHER_SERVER, OTHER_SEED, OTHER_PSK),
    ] + refused_packets()


def refused_packet(name, refused, why, change={}, claim={}, spoil=None, known=PERSON, **different):
    """A packet that is right but for a `change` on the way (see `protocol.make_packet`) or a `spoil` at the end."""
    case = packet(name, claim, **different)
    inputs = {key: case[key] for key in ("seed", "psk", "ikmE", "nonce", "length", "claim")}
    made = protocol.make_packet(standard.x25519_public(case["skS"]), change=change, **inputs)["packet"]
    return {
        "name": name,
        "skS": SERVER,
        "public": known["public"],
        "psk": PSK,
        "packet": spoil(made) if spoil else made,
        "refused": refused,
        "why": why,
    }


def refused_packets():
    closed = "the seal does not open"
    length = "its length is not that of a packet"
    unknown = "the server has no key with this id"
    address = "no lease can be for this address"
    name = "this is no name of a door"
    code = "the code has more than six digits"
    signature = "the signature is wrong"
    zeros = "the end is not zeros"

    def forged(name, why, change={}, claim={}, **different):
        return refused_packet(name, "forged", why, change, claim, **different)

    def enc_of(name):
        return standard.x25519_public(standard.derive_private_key(chance("ikmE of " + name)))

    def signature_of(person, pkS, name):
        """The usual knock's signature by this person, for this server, in the packet of this name."""
        head = protocol.knock_head(packet(name)["claim"])
        signed = b"klopf knock 1" + pkS + PERSON["id"] + enc_of(name) + head
        return {"signature": always(standard.ed25519_sign(person["v"], signed))}

    # A point of small order as enc: with it anybody knows this half of the shared secret. Everything else is right.
    small = bytes(32)
    dh = small + standard.x25519(PERSON["x"], PKS)
    small_secret = standard.extract_and_expand(dh, small + PKS + PERSON["X"])
    small_order = {"enc": always(small), "shared_secret": always(small_secret)}

    ciphertext_end = 42 + 60 + len("ssh") + 64 + 16
    m = ciphertext_end - 42

    def with_m(value):
        return {"middle": replace(40, value.to_bytes(2, "big"))}

    def two_flips(middle):
        return flip(7)(flip(-1)(middle))

    made = [
        refused_packet("nothing at all", "no-packet", length, spoil=always(b"")),
        refused_packet("one byte shorter than the shortest", "no-packet", length, length=287),
        refused_packet("one byte longer than the longest", "no-packet", length, length=1201),
        refused_packet("flipped bit in the nonce", "no-packet", closed, spoil=flip(0)),
        refused_packet("flipped bit in the middle", "no-packet", closed, spoil=flip(100, 7)),
        refused_packet("flipped bit in the outer tag", "no-packet", closed, spoil=flip(-1)),
        refused_packet("last byte cut off", "no-packet", closed, spoil=lambda packet: packet[:-1]),
        refused_packet("for another server", "no-packet", closed, skS=OTHER_SERVER),
        refused_packet("key that the server does not know", "unknown-key", unknown, known=OTHER_PERSON),
        refused_packet("flipped bit in the id", "unknown-key", unknown, {"middle": flip(7)}),
        refused_packet("flipped bit in the id, and the end not zeros", "unknown-key", unknown, {"middle": two_flips}),
        forged("another person's key under a known id", closed, {"id": always(PERSON["id"])}, seed=OTHER_SEED),
        forged("wrong psk", closed, psk=OTHER_PSK),
        forged("flipped bit in enc", closed, {"middle": flip(8)}),
        forged("flipped bit in the ciphertext", closed, {"middle": flip(42)}),
        forged("enc of small order", "a point of small order", small_order),
        forged("m one too great", closed, with_m(m + 1)),
        forged("m one too small", zeros, with_m(m - 1)),
        forged("m beyond the end", "it is too short", with_m(512 - 28 - 42 + 1)),
        forged("m of 0", closed, {"ciphertext": always(b"")}),
        forged("first byte after the ciphertext not zero", zeros, {"middle": flip(ciphertext_end)}),
        forged("last byte not zero", zeros, {"middle": flip(-1, 7)}),
        forged("flipped bit in the signature", signature, {"signature": flip(0)}),
        forged("signature of another key", signature, signature_of(OTHER_PERSON, PKS, "signature of another key")),
        forged("signature for another packet", signature, signature_of(PERSON, PKS, "another packet")),
        forged(
            "signature for another server", signature, signature_of(PERSON, OTHER_PKS, "signature for another server")
        ),
        forged("version 2", "its version is unknown", {"head": replace(0, b"\x02")}),
        forged("kind 9", "its kind is unknown", {"head": replace(1, b"\x09")}),
        forged("allow 5", "it is unknown whom to let in", {"head": replace(34, b"\x05")}),
        forged(
            "observed address, and one given",
            "the rest of the address is not zero",
            {"head": replace(35, b"\xc0\x00\x02\x07")},
        ),
        forged(
            "more than four bytes of an IPv4 address",
            "the rest of the address is not zero",
            {"head": flip(50)},
            {"address": "192.0.2.7"},
        ),
        forged("code of seven digits", code, claim={"code": 1000000}),
        forged("code just below that for none", code, claim={"code": 0xFFFFFFFE}),
        forged("no name of a door", name, claim={"door": ""}),
        forged("name of a door of 65 characters", name, claim={"door": DOOR_64 + "-"}),
        forged("name of a door with a slash", name, claim={"door": "a/b"}),
        forged("name of a door with a zero at its end", name, claim={"door": "ssh\0"}),
        forged("name of a door with a line's end", name, claim={"door": "ssh\n"}),
        forged("name of a door that is not ASCII", name, claim={"door": "t\u00fcr"}),
        forged("name of a door longer than the knock", "it is too short", {"head": replace(59, b"\xff")}),
        forged("a byte after the signature", "something follows its end", {"knock": lambda knock: knock + b"\0"}),
        forged("a knock without its last byte", "it is too short", {"knock": lambda knock: knock[:-1]}),
        forged("an empty knock", "it is too short", {"knock": always(b"")}),
    ]
    return made + [forged(f"address {text}", address, claim={"address": text}) for text in NEVER_LEASED]


NEVER_LEASED = (
    "0.0.0.0",
    "127.0.0.1",
    "127.255.255.254",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::",
    "::1",
    "ff02::1",
    "::ffff:192.0.2.7",
)


# --- ports


def ports():
    servers = (("the first server", PKS), ("another server", OTHER_PKS))
    made = [{"name": f"usual port of {name}", "pkS": pkS} for name, pkS in servers]
    times = (
        0,
        59,
        60,
        START_OF_2026 - 1,
        START_OF_2026,
        START_OF_2026 + 59,
        START_OF_2026 + 60,
        2**32 * 60,
        (2**64 - 1) // 1000,
    )
    made += [{"name": f"port that changes, at {time} s", "pkS": PKS, "time": time} for time in times]
    return made + [{"name": "port that changes, of another server", "pkS": OTHER_PKS, "time": START_OF_2026}]


# --- tokens


def token(name, claim={}, device=None):
    usual = {"address": "192.0.2.7", "door": "ssh", "time": START_OF_2026, "counter": 1, "minutes": 0}
    return {
        "name": name,
        "pkS": PKS,
        "id": PERSON["id"],
        "psk": PSK,
        "device": device,
        "n": chance("n of " + name, 8),
        "claim": usual | claim,
    }


def tokens():
    return [
        token("IPv4 address"),
        token("IPv6 address", {"address": "2001:db8::7:1"}),
        token("half an hour", {"minutes": 30, "counter": 1000 * START_OF_2026}),
        token("longest name of a door", {"address": "2001:db8::1", "door": DOOR_64}),
        token("greatest values", {"time": 2**32 - 1, "counter": 2**48 - 1, "minutes": 2**16 - 1}),
        token("smallest values", {"time": 0, "counter": 0}),
        token("of one device", device=DEVICE),
        token("of one device, IPv6 address", {"address": "2001:db8::7:1"}, DEVICE),
    ] + refused_tokens()


def refused_tokens():
    closed = "the seal does not open"
    length = "its length is not that of a token"
    unknown = "the server has no key with this id"
    first = "its first byte is unknown"

    def refused(name, refusal, why, change={}, claim={}, spoil=None, of=None, **different):
        case = token(name, claim) | different
        inputs = {"pkS": case["pkS"], "me_id": case["id"], "n": case["n"], "claim": case["claim"]}
        own = protocol.own_of(case["psk"], case["device"])
        made = protocol.make_token(own=own, change=change, **inputs)["token"]
        server = {"name": name, "pkS": PKS, "id": PERSON["id"], "psk": PSK, "device": of}
        return server | {"token": spoil(made) if spoil else made, "refused": refusal, "why": why}

    alike = PERSON["id"][:4] + OTHER_PERSON["id"][4:]
    six = {"address": "2001:db8::7"}
    return [
        refused("nothing at all", "no-token", length, spoil=always(b"")),
        refused("one byte too short", "no-token", length, spoil=lambda token: token[:-1]),
        refused("one byte too long", "no-token", length, spoil=lambda token: token + b"\0"),
        refused("between the two lengths", "no-token", length, claim=six, spoil=lambda token: token[:-1]),
        refused("wrong server", "unknown-key", unknown, pkS=OTHER_PKS),
        refused("key that the server does not know", "unknown-key", unknown, id=OTHER_PERSON["id"]),
        refused("flipped bit in n", "unknown-key", unknown, spoil=flip(0)),
        refused("flipped bit in the hidden id", "unknown-key", unknown, spoil=flip(11)),
        refused("wrong psk", "forged", closed, psk=OTHER_PSK),
        refused("of one device, where the key belongs to none", "forged", closed, device=DEVICE),
        refused("of no device, where the key belongs to one", "forged", closed, of=DEVICE),
        refused("of another device", "forged", closed, device=OTHER_DEVICE, of=DEVICE),
        refused("key whose id begins alike", "forged", closed, id=alike),
        refused("flipped bit in the claim", "forged", closed, spoil=flip(12)),
        refused("flipped bit in the tag", "forged", closed, spoil=flip(-1, 7)),
        refused("longer one cut to the shorter length", "forged", closed, claim=six, spoil=lambda token: token[:49]),
        refused("first byte 0x15", "forged", first, {"plain": replace(0, b"\x15")}),
        refused("IPv6 in 49 bytes", "forged", "it is too short", {"plain": replace(0, b"\x16")}),
        refused("IPv4 in 61 bytes", "forged", "something follows its end", {"plain": replace(0, b"\x14")}, six),
    ] + [
        refused(f"address {text}", "forged", "no lease can be for this address", claim={"address": text})
        for text in NEVER_LEASED
    ]


# --- shares

BOOKS = ("a", "b", "c", "D_4", "e-5", "f.6", "g", DOOR_64)
TOKENS = {size: chance(f"token of {size} bytes", size) for size in (49, 61)}


def shares_of(name, k, n, size=49, **different):
    case = {
        "name": name,
        "pkS": PKS,
        "token": TOKENS[size],
        "k": k,
        "books": list(BOOKS[:n]),
        "group": chance("group of " + name, 4),
        "coefficients": [chance(f"coefficient {power} of {name}", size) for power in range(1, k)],
    }
    return case | different


def shares():
    made = [shares_of(f"{k} of {n}", k, n) for k, n in ((2, 2), (2, 3), (3, 3), (4, 6), (2, 8), (8, 8))]
    made += [shares_of(f"{k} of {n}, IPv6 address", k, n, 61) for k, n in ((2, 3), (5, 8))]
    return made + [
        shares_of("another server", 2, 2, pkS=OTHER_PKS),
        shares_of("coefficients of zero", 3, 3, coefficients=[bytes(49)] * 2),
        shares_of("greatest bytes", 3, 4, token=b"\xff" * 49, coefficients=[b"\xff" * 49] * 2, group=b"\xff" * 4),
        shares_of("smallest bytes", 2, 2, token=bytes(49), coefficients=[bytes(49)], group=bytes(4)),
    ] + refused_shares()


def refused_shares():
    closed = "the seal does not open"
    length = "its length is not that of a share"

    def refused(name, why, spoil=lambda share: share, k=2, x=1, pkS=PKS, sealed_for="a", values=TOKENS[49]):
        part = protocol.make_part(chance("group of " + name, 4), k, x, values)
        share = spoil(protocol.seal_part(pkS, sealed_for, part))
        return {"name": name, "pkS": PKS, "book": "a", "share": share, "refused": "no-token", "why": why}

    return [
        refused("nothing at all", length, always(b"")),
        refused("one byte too short", length, lambda share: share[:-1]),
        refused("one byte too long", length, lambda share: share + b"\0"),
        refused("between the two lengths", length, values=chance("values", 55)),
        refused("a token where a share should be", length, always(TOKENS[49])),
        refused("for another guestbook", closed, sealed_for="b"),
        refused("for a guestbook of another case", closed, sealed_for="A"),
        refused("for another server", closed, pkS=OTHER_PKS),
        refused("flipped bit in the group", closed, flip(0)),
        refused("flipped bit in k", closed, flip(4, 5)),
        refused("flipped bit in the values", closed, flip(30)),
        refused("flipped bit in the tag of the share", closed, flip(-1, 7)),
        refused("longer one cut to the shorter length", closed, lambda share: share[:70], values=TOKENS[61]),
        refused("k of 0", "k is not one that there is", k=0),
        refused("k of 1", "k is not one that there is", k=1),
        refused("k of 9", "k is not one that there is", k=9),
        refused("k of 15", "k is not one that there is", k=15),
        refused("x of 0", "x is not one that there is", x=0),
        refused("x of 9", "x is not one that there is", x=9),
        refused("x of 15", "x is not one that there is", x=15),
    ]


def combinations():
    """The shares are made up: any values are those of some token."""

    def share(k, x, size=49, group="group"):
        return {"group": chance(group, 4), "k": k, "x": x, "values": chance(f"values at {x}", size)}

    def case(name, *shares, why=None):
        return {"name": name, "shares": list(shares)} | ({"refused": "no-token", "why": why} if why else {})

    three = [share(3, x) for x in (1, 2, 3)]
    number = "they are not as many as are needed"
    kin = "they are not of one token"
    return [
        case("first two of k 2", share(2, 1), share(2, 2)),
        case("in another order", share(2, 2), share(2, 1)),
        case("last two of k 2", share(2, 7), share(2, 8)),
        case("three, not in order", share(3, 5), share(3, 1), share(3, 8)),
        case("five of IPv6", *(share(5, x, 61) for x in (2, 3, 4, 6, 7))),
        case("all eight", *(share(8, x) for x in range(1, 9))),
        case("one too few", *three[:2], why=number),
        case("one too many", *three, share(3, 4), why=number),
        case("one alone", share(2, 1), why=number),
        case("none at all", why=kin),
        case("the same twice", three[0], three[0], three[1], why="one is there twice"),
        case("the same x twice", share(2, 1), share(2, 1) | {"values": TOKENS[49]}, why="one is there twice"),
        case("two groups", share(2, 1), share(2, 2, group="other group"), why=kin),
        case("two numbers that are needed", share(2, 1), share(3, 2), why=kin),
        case("two lengths", share(2, 1), share(2, 2, 61), why=kin),
        case("k of 1, alone", share(1, 1), why="k is not one that there is"),
        case("k of 9, nine of them", *(share(9, x % 8 + 1) for x in range(9)), why="k is not one that there is"),
        case("x of 0, which would be the token", share(2, 0), share(2, 1), why="x is not one that there is"),
        case("x of 255", share(2, 255), share(2, 1), why="x is not one that there is"),
        case("no values", share(2, 1, 0), share(2, 2, 0), why="it is no share of a token"),
        case("48 values", share(2, 1, 48), share(2, 2, 48), why="it is no share of a token"),
    ]


# --- codes for paper


def paper_code(name, sheet=1234, index=5, door="ssh", **different):
    return {
        "name": name,
        "pkS": PKS,
        "id": PERSON["id"],
        "psk": PSK,
        "device": None,
        "sheet": sheet,
        "index": index,
        "door": door,
        "doors": ["web", "ssh", DOOR_64],
    } | different


def paper():
    made = [
        paper_code("in the middle"),
        paper_code("first of all", 0, 0),
        paper_code("last of a sheet", 0, 31),
        paper_code("first of the next sheet", 1, 0),
        paper_code("last of all", 2047, 31),
        paper_code("another door", door="web"),
        paper_code("longest name of a door", door=DOOR_64),
        paper_code("of one device", device=DEVICE),
        paper_code("another person and server", pkS=OTHER_PKS, id=OTHER_PERSON["id"], psk=OTHER_PSK),
    ]

    def refused(name, refusal, why, spoil=lambda code: code, of=None, **different):
        case = paper_code(name, **different)
        own = protocol.own_of(case["psk"], case["device"])
        place = (case["door"], case["sheet"], case["index"])
        code = spoil(protocol.make_code(case["pkS"], case["id"], own, *place)["paper_code"])
        server = {"name": name, "pkS": PKS, "id": PERSON["id"], "psk": PSK, "device": of, "doors": case["doors"]}
        return server | {"paper_code": code, "refused": refusal, "why": why}

    length = "its length is not that of a code"
    unknown = "the server has no key with this id"
    wrong = "the tag is of no such key and door"
    alike = PERSON["id"][:2] + OTHER_PERSON["id"][2:]
    return made + [
        refused("nothing at all", "no-token", length, always(b"")),
        refused("one byte too short", "no-token", length, lambda code: code[:-1]),
        refused("one byte too long", "no-token", length, lambda code: code + b"\0"),
        refused("a token where a code should be", "no-token", length, always(TOKENS[49])),
        refused("key that the server does not know", "unknown-key", unknown, id=OTHER_PERSON["id"]),
        refused("wrong server", "unknown-key", unknown, pkS=OTHER_PKS),
        refused("flipped bit in the tag", "unknown-key", unknown, flip(0)),
        refused("flipped bit in the beginning of the id", "unknown-key", unknown, flip(10)),
        refused("flipped bit in the sheet", "forged", wrong, flip(7)),
        refused("flipped bit in the index", "forged", wrong, flip(8)),
        refused("wrong psk", "forged", wrong, psk=OTHER_PSK),
        refused("key whose id begins alike", "forged", wrong, id=alike),
        refused("of one device, where the key belongs to none", "forged", wrong, device=DEVICE),
        refused("of no device, where the key belongs to one", "forged", wrong, of=DEVICE),
        refused("of another device", "forged", wrong, device=OTHER_DEVICE, of=DEVICE),
        refused("door that the key may not open", "forged", wrong, door="vault"),
        refused("no door that the key may open", "forged", wrong, doors=[]),
    ]


# --- invitations


def invitation(name, told={}):
    usual = {
        "key_name": "anna-phone",
        "pkS": PKS,
        "psk": PSK,
        "seed": SEED,
        "id": PERSON["id"],
        "endpoints": ["gate.example.org"],
        "doors": ["ssh"],
        "port": protocol.default_port(PKS),
        "shape": 0,
        "until": None,
        "no_clock": False,
        "code_doors": [],
        "bound": False,
        "mail": None,
        "shared_doors": [],
        "encoded_doors": [],
        "left_aside": [],
    }
    return {"name": name} | usual | told


def shared_door(door, k, books):
    return {"door": door, "k": k, "books": list(books)}


def encoded_door(door, fields, first=40000, size=256, transport="tcp"):
    return {"door": door, "template": {"first": first, "size": size, "transport": transport, "fields": fields}}


def invitations():
    return [
        invitation("with a seed"),
        invitation("with an id, of a person who has made the key", {"seed": None}),
        invitation(
            "several endpoints and doors",
            {
                "endpoints": ["gate.example.org", "192.0.2.1", "2001:db8::1", "Gate-2.Example.org"],
                "doors": ["ssh", "web", "backup_nightly.1"],
                "code_doors": ["web"],
            },
        ),
        invitation("every door asks for a code", {"doors": ["a", "b"], "code_doors": ["a", "b"]}),
        invitation("port that changes", {"port": 0, "until": START_OF_2026 + 7 * 86400}),
        invitation("device without a clock", {"no_clock": True, "until": 2**64 - 1}),
        invitation("DNS shape", {"port": 53, "shape": 1}),
        invitation("NTP shape", {"port": 123, "shape": 2}),
        invitation("QUIC shape", {"port": 443, "shape": 3}),
        invitation("without what may be absent", {"port": None, "shape": None}),
        invitation("longest texts", {"key_name": DOOR_64, "endpoints": ["e" * 253], "doors": [DOOR_64]}),
        invitation("key of one device", {"bound": True}),
        invitation("mail address", {"mail": "knocks+ssh@mail.example.org"}),
        invitation("shortest mail address", {"mail": "a@b"}),
        invitation("longest mail address", {"mail": "!#$%&'*/=?^`{|}~\"@@(<>,;:\\[]".ljust(254, "x")}),
        invitation("door that takes shares", {"shared_doors": [shared_door("ssh", 2, BOOKS[:3])]}),
        invitation(
            "two doors that take shares, of three",
            {
                "doors": ["ssh", "web", "vault"],
                "shared_doors": [shared_door("vault", 7, "hgfedcba"), shared_door("ssh", 2, "ba")],
            },
        ),
        invitation(
            "longest names of guestbooks",
            {"doors": [DOOR_64], "shared_doors": [shared_door(DOOR_64, 3, ["x" * 62, "y" * 62, "z" * 61])]},
        ),
        invitation("door that takes encoded sequences", {"encoded_doors": [encoded_door("ssh", ["addr4"])]}),
        invitation(
            "three doors that take encoded sequences",
            {
                "doors": ["ssh", "web", DOOR_64],
                "encoded_doors": [
                    encoded_door("web", ["addr6", "net6", "port", "for", "flag"], 32768, 32768, "udp"),
                    encoded_door(DOOR_64, ["addr4", "net4", "for"], 65024, 512),
                    encoded_door("ssh", [], 1),
                ],
            },
        ),
        invitation(
            "all that may be there",
            {
                "until": START_OF_2026,
                "no_clock": True,
                "code_doors": ["ssh"],
                "bound": True,
                "mail": "knocks@mail.example.org",
                "shared_doors": [shared_door("ssh", 2, "abc")],
                "encoded_doors": [encoded_door("ssh", ["addr4", "port", "for"])],
            },
        ),
        invitation("unknown tag 132", {"left_aside": [{"tag": 132, "bytes": b"later"}]}),
        invitation(
            "unknown tags 132, twice, and 255, after the known ones",
            {
                "code_doors": ["ssh"],
                "bound": True,
                "shared_doors": [shared_door("ssh", 2, "ab")],
                "left_aside": [
                    {"tag": 132, "bytes": b""},
                    {"tag": 132, "bytes": b"\0" * 255},
                    {"tag": 255, "bytes": b"x"},
                ],
            },
        ),
    ] + refused_invitations()


def refused_invitations():
    fields = protocol.fields_of(invitation(""))
    right = protocol.invitation_text(fields)

    def with_field(tag, value):
        """The usual fields with this one in its place, or added."""
        return sorted([field for field in fields if field[0] != tag] + [(tag, value)], key=lambda field: field[0])

    def without(tag):
        return [field for field in fields if field[0] != tag]

    def also(tag, value):
        return sorted(fields + [(tag, value)], key=lambda field: field[0])

    bad_fields = {
        "empty name": (1, b""),
        "name of 65 characters": (1, DOOR_64.encode() + b"-"),
        "name with a space": (1, b"anna phone"),
        "pkS of 31 bytes": (2, bytes(31)),
        "psk of 33 bytes": (3, bytes(33)),
        "seed of 31 bytes": (4, bytes(31)),
        "empty endpoint": (6, b""),
        "endpoint of 254 characters": (6, b"e" * 254),
        "endpoint with a line's end": (6, b"gate.example.org\n"),
        "endpoint with a space": (6, b"gate example"),
        "empty name of a door": (7, b""),
        "door with a slash": (7, b"a/b"),
        "port of one byte": (8, b"\x16"),
        "shape 4": (9, b"\x04"),
        "shape of two bytes": (9, b"\0\0"),
        "until of four bytes": (10, bytes(4)),
        "no clock, with a byte": (11, b"\x01"),
        "code door that is not among the doors": (12, b"web"),
        "bound, with a byte": (128, b"\x01"),
        "empty mail address": (129, b""),
        "mail address without an @": (129, b"mail.example.org"),
        "mail address that begins with @": (129, b"@mail.example.org"),
        "mail address that ends with @": (129, b"knocks@"),
        "mail address of an @ alone": (129, b"@"),
        "mail address of 255 characters": (129, b"a@" + b"b" * 253),
        "mail address with a space": (129, b"knocks @mail.example.org"),
        "mail address with a line's end": (129, b"knocks@mail.example.org\n"),
        "mail address that is not ASCII": (129, "kn\u00f6cks@mail.example.org".encode()),
        "door that takes shares without any words": (130, b""),
        "door that takes shares without k": (130, b"ssh"),
        "door that takes shares, not among the doors": (130, b"web 2 a b"),
        "k of 1 share": (130, b"ssh 1 a b"),
        "k of more shares than guestbooks": (130, b"ssh 3 a b"),
        "k of 9 shares": (130, b"ssh 9 a b c d e f g h i"),
        "k of two digits": (130, b"ssh 02 a b"),
        "no guestbooks": (130, b"ssh 2"),
        "one guestbook": (130, b"ssh 2 a"),
        "nine guestbooks": (130, b"ssh 2 a b c d e f g h i"),
        "guestbook twice": (130, b"ssh 2 a b a"),
        "guestbook with a slash": (130, b"ssh 2 a /b"),
        "guestbook of 65 characters": (130, b"ssh 2 a " + b"b" * 65),
        "two spaces between guestbooks": (130, b"ssh 2 a  b"),
        "space behind the guestbooks": (130, b"ssh 2 a b "),
        "line's end behind the guestbooks": (130, b"ssh 2 a b\n"),
        "door that takes encoded sequences, without a name": (131, bytes.fromhex("01069c4008")),
        "door that takes encoded sequences, not among the doors": (131, bytes.fromhex("01069c4008") + b"web"),
        "encoded sequences with fields that are none": (131, bytes.fromhex("05069c4008") + b"ssh"),
        "encoded sequences with a field of bit 6": (131, bytes.fromhex("41069c4008") + b"ssh"),
        "encoded sequences by ICMP": (131, bytes.fromhex("01019c4008") + b"ssh"),
        "encoded sequences on 128 ports": (131, bytes.fromhex("01069c4007") + b"ssh"),
        "encoded sequences on 65,536 ports": (131, bytes.fromhex("0106000110") + b"ssh"),
        "encoded sequences from port 0 on": (131, bytes.fromhex("0106000008") + b"ssh"),
        "encoded sequences up to port 65,536": (131, bytes.fromhex("0106ff0108") + b"ssh"),
    }
    data = protocol.from_text(right[6:])
    cut = data[1:-5]  # the last field has lost its last byte
    made = {
        "another word in front": ("bad-text", "knock:" + right[6:]),
        "padding": ("bad-text", right + "="),
        "the other base64": ("bad-text", right[:-1] + "+"),
        "a space in it": ("bad-text", right[:40] + " " + right[40:]),
        "nothing after the colon": ("truncated", "klopf:"),
        "slip in copying": ("bad-checksum", right[:50] + ("A" if right[50] != "A" else "B") + right[51:]),
        "bad checksum": ("bad-checksum", protocol.invitation_text(fields, checksum=flip(0)(data[-4:]))),
        "last three bytes cut off": ("bad-checksum", "klopf:" + protocol.to_text(data[:-3])),
        "version 2": ("wrong-version", protocol.invitation_text(fields, version=2)),
        "field cut off, with the right checksum": ("truncated", text_of(cut)),
        "tag without a length": ("truncated", text_of(data[1:-4] + b"\x82")),
        "unknown tag 0": ("unknown-field", protocol.invitation_text(also(0, b""))),
        "unknown tag 13": ("unknown-field", protocol.invitation_text(also(13, b""))),
        "unknown tag 127": ("unknown-field", protocol.invitation_text(also(127, b""))),
        "tags out of order": ("bad-order", protocol.invitation_text([fields[1], fields[0]] + fields[2:])),
        "endpoint after the doors": ("bad-order", protocol.invitation_text(fields + [(6, b"192.0.2.1")])),
        "two names": ("bad-order", protocol.invitation_text(also(1, b"berta"))),
        "two seeds": ("bad-order", protocol.invitation_text(also(4, OTHER_SEED))),
        "two ports": ("bad-order", protocol.invitation_text(also(8, b"\0\x16"))),
        "bound twice": ("bad-order", protocol.invitation_text(fields + [(128, b"")] * 2)),
        "two mail addresses": ("bad-order", protocol.invitation_text(fields + [(129, b"a@b")] * 2)),
        "guestbooks before the mail address": (
            "bad-order",
            protocol.invitation_text(fields + [(130, b"ssh 2 a b"), (129, b"a@b")]),
        ),
        "door that takes shares twice": (
            "bad-field",
            protocol.invitation_text(fields + [(130, b"ssh 2 a b"), (130, b"ssh 2 b c")]),
        ),
        "neither seed nor id": ("missing-field", protocol.invitation_text(without(4))),
        "seed and id": ("bad-field", protocol.invitation_text(also(5, PERSON["id"]))),
        "id of seven bytes": ("bad-field", protocol.invitation_text(sorted(without(4) + [(5, bytes(7))]))),
    }
    made |= {name: ("bad-field", protocol.invitation_text(with_field(*field))) for name, field in bad_fields.items()}
    for what, tag in (("name", 1), ("pkS", 2), ("psk", 3), ("endpoint", 6), ("door", 7)):
        made[f"no {what}"] = ("missing-field", protocol.invitation_text(without(tag)))
    return [{"name": name, "text": text, "refused": refused} for name, (refused, text) in made.items()]


def text_of(fields):
    """The invitation with these bytes for its fields, and the checksum of them."""
    data = b"\x01" + fields
    return "klopf:" + protocol.to_text(data + standard.sha256(data)[:4])


# --- codes


def codes():
    """RFC 6238, appendix B, and a secret of 32 bytes."""
    times = (59, 1111111109, 1111111111, 1234567890, 2000000000, 20000000000)
    rfc = [{"name": f"RFC 6238, at {time} s", "secret": b"12345678901234567890", "time": time} for time in times]
    return rfc + [
        {"name": f"secret of 32 bytes, at {time} s", "secret": chance("secret"), "time": time}
        for time in (START_OF_2026 - 1, START_OF_2026, START_OF_2026 + 29, START_OF_2026 + 30)
    ]
