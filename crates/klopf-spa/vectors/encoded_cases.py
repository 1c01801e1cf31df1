"""What the vectors of encoded sequences are made of; see `cases.py`."""

import encoded
import protocol
from cases import (
    DEVICE,
    DOOR_64,
    NEVER_LEASED,
    OTHER_DEVICE,
    OTHER_PERSON,
    OTHER_PKS,
    OTHER_PSK,
    PERSON,
    PKS,
    PSK,
    START_OF_2026,
)

FIRST_MARK = START_OF_2026 // 8 * 64
USUAL = ["addr4", "port", "for"]
ALL_V6 = ["addr6", "net6", "port", "for", "flag"]


def template(size=256, fields=USUAL, first=40000, transport="tcp"):
    return {"first": first, "size": size, "transport": transport, "fields": list(fields)}


def claim_for(fields):
    """Something that uses all these fields."""
    nets = {"net4": ("198.51.96.0", 19), "net6": ("2001:db8::", 33)}
    of = nets | {"addr4": ("192.0.2.7", 32), "addr6": ("2001:db8::7", 128)}
    address, prefix = next((of[field] for field in of if field in fields), (None, None))
    return {
        "address": address,
        "prefix": prefix,
        "port": 22 if "port" in fields else None,
        "seconds": 1800 if "for" in fields else 0,
        "flags": 9 if "flag" in fields else 0,
    }


def sequence(name, claim={}, start=FIRST_MARK, now=None, **different):
    case = {
        "name": name,
        "pkS": PKS,
        "id": PERSON["id"],
        "psk": PSK,
        "device": None,
        "door": "ssh",
        "template": template(),
    } | different
    said = claim_for(case["template"]["fields"]) | claim
    return case | {"claim": said, "start": start, "now": start // 64 * 8 if now is None else now}


def sequences():
    sizes = [2**s for s in range(8, 16)]
    net = template(fields=["addr4", "net4"])
    whom = [[], ["addr4"], ["addr4", "net4"], ["addr6"], ["addr6", "net6"]]
    late = (2**32 - 1) // 8 * 64
    made = [sequence(f"on {size} ports", template=template(size, first=65536 - size)) for size in sizes]
    made += [sequence(f"all of IPv6 on {size} ports", template=template(size, ALL_V6, 1)) for size in sizes]
    for fields in whom:
        what = " and ".join(fields) or "no address"
        made.append(sequence(f"{what}, nothing else", template=template(1024, fields)))
        made.append(sequence(f"{what}, and a port", template=template(1024, fields + ["port"], transport="udp")))
        made.append(sequence(f"{what}, and all others", template=template(4096, fields + ["port", "for", "flag"])))
    return made + [
        sequence("of one device", device=DEVICE),
        sequence("longest name of a door", door=DOOR_64),
        sequence("another person and server", pkS=OTHER_PKS, id=OTHER_PERSON["id"], psk=OTHER_PSK),
        sequence("as long as the door says, to all ports", {"port": None, "seconds": 0}),
        sequence("greatest values", {"port": 65535, "seconds": 30 * 86400}, late),
        sequence("last of a round of time", start=FIRST_MARK // 65536 * 65536 + 65535),
        sequence("greatest flags", {"flags": 15}, template=template(fields=["addr4", "flag"])),
        sequence("a network of half of all", {"address": "128.0.0.0", "prefix": 1}, template=net),
        sequence("a network of one", {"address": "192.0.2.7", "prefix": 32}, template=net),
        sequence("server an hour behind", now=START_OF_2026 - 3600),
        sequence("server an hour ahead", now=START_OF_2026 + 3600),
        sequence("server 512 units ahead", now=START_OF_2026 + 4096),
    ] + refused_sequences()


def refused_sequences():
    count = "there are too few hits, or too many"
    turns = "they are not even and odd by turns"
    unknown = "the server has no key whose id begins so"
    tag = "the tag is wrong"

    def refused(name, refusal, why, spoil=lambda symbols: symbols, of=None, at=template(), now=0, **different):
        case = sequence(name, **different)
        own = protocol.own_of(case["psk"], case["device"])
        inputs = (case["pkS"], case["id"], own, case["door"], case["template"], case["claim"], case["start"])
        made = encoded.to_text(spoil(encoded.make_sequence(*inputs)["symbols"]))
        server = {"name": name, "pkS": PKS, "id": PERSON["id"], "psk": PSK, "device": of, "door": "ssh", "template": at}
        return server | {"now": START_OF_2026 + now, "symbols": made, "refused": refusal, "why": why}

    def flipped(at, bit):
        return lambda symbols: symbols[:at] + [symbols[at] ^ 1 << bit] + symbols[at + 1 :]

    def exchanged(a, b):
        return lambda symbols: [symbols[{a: b, b: a}.get(i, i)] for i in range(len(symbols))]

    def forged(name, spoil=lambda symbols: symbols, why=tag, **different):
        return refused(name, "forged", why, spoil, **different)

    alike = PERSON["id"][:1] + OTHER_PERSON["id"][1:]
    net = template(fields=["addr4", "net4"])
    four, six = template(fields=["addr4"]), template(fields=["addr6"])
    return [
        refused("nothing at all", "no-sequence", count, lambda symbols: []),
        refused("one hit too few", "no-sequence", count, lambda symbols: symbols[:-1]),
        refused("one hit too many", "no-sequence", count, lambda symbols: symbols + [0]),
        refused("a symbol in the place of another kind", "no-sequence", turns, flipped(3, 0)),
        refused("a symbol beyond the span", "no-sequence", "one is none of the span", flipped(3, 8)),
        refused("neighbours as they come", "no-sequence", turns, exchanged(6, 7)),
        refused("key that the server does not know", "unknown-key", unknown, id=OTHER_PERSON["id"]),
        refused("flipped bit in the hint", "unknown-key", unknown, flipped(10, 2)),
        forged("flipped bit in the first field", flipped(0, 7)),
        forged("flipped bit in the salt", flipped(9, 1)),
        forged("two of a kind exchanged", exchanged(2, 4)),
        forged("wrong psk", psk=OTHER_PSK),
        forged("of another device", device=OTHER_DEVICE, of=DEVICE),
        forged("of no device, where the key belongs to one", of=DEVICE),
        forged("key whose id begins alike", id=alike),
        forged("another door", door="web"),
        forged("another first port", template=template(first=40001)),
        forged("another transport", template=template(transport="udp")),
        refused("other fields", "unknown-key", unknown, template=template(fields=["addr4", "net4", "port"])),
        forged("a round of time later", now=8192),
        forged("a round of time before", now=-8192),
        forged("513 units before", now=-4104),
        forged("512 units after and more", now=4104),
        forged(
            "something behind the prefix",
            why="something stands behind the prefix",
            at=net,
            template=net,
            claim={"address": "192.0.2.7", "prefix": 31},
        ),
    ] + [
        forged(
            f"address {text}",
            why="no lease can be for this address",
            at=six if ":" in text else four,
            template=six if ":" in text else four,
            claim={"address": text},
        )
        for text in NEVER_LEASED
    ]


def arrivals():
    """Hits of a made up sequence of 12, in ever other ways."""
    hits = [20, 71, 8, 255, 146, 33, 90, 1, 62, 143, 228, 17]
    even, odd = hits[::2], hits[1::2]

    def case(name, came, count=12):
        return {"name": name, "hits": encoded.to_text(came), "count": count}

    def without(*places):
        return [hit for place, hit in enumerate(hits) if place not in places]

    return [
        case("nothing yet", []),
        case("one is missing", hits[:-1]),
        case("as they were sent", hits),
        case("all even ones first", even + odd),
        case("all twice", [hit for hit in hits for _ in range(2)]),
        case("neighbours swapped", [hits[place ^ 1] for place in range(12)]),
        case("others before", [3, 200, 20, 9, 44, 8, 17] + hits),
        case("one of its own before", [90, 255] + hits),
        case("one again, late", hits[:9] + [8] + hits[9:]),
        case("the first again, late", hits[:9] + [20, 71] + hits[9:]),
        case("one of them lost, and begun again", without(5) + hits[:6]),
        case("one of them lost, and all again", without(5) + hits),
        case("lost in both passes", without(5, 8) + without(3)),
        case("two next to each other lost", without(4, 6) + hits),
        case("the first lost, and another the second time", without(0) + without(6)),
        case("more than are kept", [2 * i % 256 for i in range(100)] + [1] + hits),
        case("an odd number of them", hits[:-1], 11),
        case("the fewest", hits[:7], 7),
        case("a scan of all ports", list(range(256)), 36),
    ]
