"""Section 10 of `docs/PROTOCOL.md` in Python; see `protocol.py`. Bits are strings of 0 and 1."""

import ipaddress
import math

import standard
from protocol import door_hash, hkdf, leasable, need
from standard import Refused

FIELDS = ("addr4", "net4", "addr6", "net6", "port", "for", "flag")
SIZES = {"addr4": 32, "net4": 5, "addr6": 128, "net6": 7, "port": 16, "for": 6, "flag": 4}
ADDRESSES = {(): 0, ("addr4",): 1, ("addr4", "net4"): 2, ("addr6",): 3, ("addr6", "net6"): 4}
OTHERS = {"port": 8, "for": 16, "flag": 32}
TRANSPORTS = {"tcp": 6, "udp": 17}
MINUTE, HOUR, DAY = 60, 3600, 86400


def hold_seconds(i):
    if i <= 5:
        return 10 * i
    if i <= 15:
        return (i - 5) * MINUTE
    if i <= 25:
        return 5 * (i - 13) * MINUTE
    if i <= 36:
        return (i - 24) * HOUR
    if i <= 41:
        return 2 * (i - 30) * HOUR
    return (i - 41) * DAY if i <= 55 else 2 * (i - 48) * DAY


HOLDS = [hold_seconds(i) for i in range(64)]


def to_text(numbers):
    return " ".join(map(str, numbers))


def from_text(text):
    return [int(number) for number in text.split()]


def bits(value, count):
    assert 0 <= value < 1 << count
    return format(value, f"0{count}b") if count else ""


def first_bits(data, count):
    return bits(int.from_bytes(data, "big"), 8 * len(data))[:count]


def filled(text):
    """The bytes of bits, filled up with zeros."""
    return bytes(int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8))


def xor(text, data):
    return "".join("01"[a != b] for a, b in zip(text, first_bits(data, len(text)), strict=True))


# --- template


def exponent(template):
    s = template["size"].bit_length() - 1
    assert template["size"] == 1 << s and 8 <= s <= 15 and 1 <= template["first"] <= 65536 - template["size"]
    return s


def plain_bits(template):
    return sum(SIZES[field] for field in template["fields"]) + 16


def length(template):
    return math.ceil((plain_bits(template) + 6 + 64) / (exponent(template) - 1))


def tag_bits(template):
    return length(template) * (exponent(template) - 1) - plain_bits(template) - 6


def template_bytes(template):
    fields = template["fields"]
    assert [field for field in FIELDS if field in fields] == fields
    kind = ADDRESSES[tuple(field for field in fields if field not in OTHERS)]
    kind += sum(OTHERS[field] for field in fields if field in OTHERS)
    return bytes([kind, TRANSPORTS[template["transport"]], *template["first"].to_bytes(2, "big"), exponent(template)])


def read_template(data):
    """What `template_bytes` has made."""
    kind, transport, first, s = data[0], data[1], int.from_bytes(data[2:4], "big"), data[4]
    addresses = {kind: list(fields) for fields, kind in ADDRESSES.items()}
    transports = {number: name for name, number in TRANSPORTS.items()}
    need(kind < 64 and kind % 8 in addresses and transport in transports, "bad-field")
    need(8 <= s <= 15 and 1 <= first <= 65536 - 2**s, "bad-field")
    fields = addresses[kind % 8] + [field for field, bit in OTHERS.items() if kind & bit]
    return {"first": first, "size": 2**s, "transport": transports[transport], "fields": fields}


# --- claim


def write_fields(template, claim):
    address = ipaddress.ip_address(claim["address"]) if claim["address"] else None
    values = {
        "addr4": lambda: int(address),
        "addr6": lambda: int(address),
        "net4": lambda: claim["prefix"] - 1,
        "net6": lambda: claim["prefix"] - 1,
        "port": lambda: claim["port"] or 0,
        "for": lambda: HOLDS.index(claim["seconds"]),
        "flag": lambda: claim["flags"],
    }
    return "".join(bits(values[field](), SIZES[field]) for field in template["fields"])


def read_fields(template, text):
    values = {}
    for field in template["fields"]:
        values[field], text = int(text[: SIZES[field]], 2), text[SIZES[field] :]
    claim = {"address": None, "prefix": None, "port": values.get("port") or None}
    claim |= {"seconds": HOLDS[values.get("for", 0)], "flags": values.get("flag", 0)}
    for addr, net, make in (("addr4", "net4", ipaddress.IPv4Address), ("addr6", "net6", ipaddress.IPv6Address)):
        if addr in values:
            address, prefix = make(values[addr]), values.get(net, SIZES[addr] - 1) + 1
            need(leasable(address), "no lease can be for this address")
            need(int(address) % (1 << SIZES[addr] - prefix) == 0, "something stands behind the prefix")
            claim |= {"address": str(address), "prefix": prefix}
    return claim


def read_mark(low, now):
    """The mark that ends in these 16 bits and is nearest to now, in seconds."""
    unit = now // 8
    near = [unit + off for off in range(-512, 512) if (unit + off) % 1024 == low >> 6]
    return near[0] * 64 + low % 64


# --- seal


def context_of(pkS, me_id, door, template):
    return b"klopf encoded 1" + pkS + me_id + door_hash(door) + template_bytes(template)


def tag_of(own, context, mark, plain, count):
    key = hkdf(own, b"klopf encoded 1 seal", 32)
    return first_bits(standard.hmac_sha256(key, context + mark.to_bytes(8, "big") + filled(plain)), count)


def hide(own, tag, text):
    return xor(text, standard.hmac_sha256(hkdf(own, b"klopf encoded 1 hide", 32), filled(tag)))


def hint_mask(pkS, tag):
    return standard.hmac_sha256(hkdf(pkS, b"klopf encoded 1 mask", 32), filled(tag))[:1]


def make_sequence(pkS, me_id, own, door, template, claim, start):
    """The sequence with the first mark from `start` on that makes all symbols different."""
    context = context_of(pkS, me_id, door, template)
    mark = start
    while True:
        plain = write_fields(template, claim) + bits(mark % 65536, 16)
        tag = tag_of(own, context, mark, plain, tag_bits(template))
        hidden, hint = hide(own, tag, plain), xor(first_bits(me_id, 6), hint_mask(pkS, tag))
        symbols = spell(template, hidden + hint + tag)
        if len(set(symbols)) == len(symbols):
            made = {"context": context, "mark": mark, "plain": plain, "tag": tag, "hidden": hidden, "hint": hint}
            return made | {"symbols": symbols, "ports": [template["first"] + symbol for symbol in symbols]}
        mark += 1


def spell(template, payload):
    each = exponent(template) - 1
    assert len(payload) == each * length(template)
    return [int(payload[each * i : each * (i + 1)], 2) * 2 + i % 2 for i in range(length(template))]


def open_sequence(symbols, pkS, known, door, template, now):
    """What a sequence claims, and its mark. `known` are (id, own) of the keys that the server knows."""
    each = exponent(template) - 1
    try:
        need(len(symbols) == length(template), "there are too few hits, or too many")
        need(all(symbol % 2 == i % 2 for i, symbol in enumerate(symbols)), "they are not even and odd by turns")
        need(all(symbol < template["size"] for symbol in symbols), "one is none of the span")
        payload = "".join(bits(symbol // 2, each) for symbol in symbols)
    except Refused as why:
        raise Refused("no-sequence") from why
    cut = plain_bits(template)
    hidden, hint, tag = payload[:cut], payload[cut : cut + 6], payload[cut + 6 :]
    prefix = xor(hint, hint_mask(pkS, tag))
    keys = [key for key in known if first_bits(key[0], 6) == prefix]
    if not keys:
        raise Refused("unknown-key") from Refused("the server has no key whose id begins so")
    for me_id, own in keys:
        try:
            plain = hide(own, tag, hidden)
            mark = read_mark(int(plain[-16:], 2), now)
            context = context_of(pkS, me_id, door, template)
            need(tag_of(own, context, mark, plain, len(tag)) == tag, "the tag is wrong")
            return {"claim": read_fields(template, plain[:-16]), "mark": mark}
        except Refused as why:
            cause = why
    raise Refused("forged") from cause


# --- what arrives


def readings(hits, count):
    """The sequences of `count` hits that the last of these may be."""
    kinds = []
    for parity, c in ((0, count - count // 2), (1, count // 2)):
        of_kind = [hit for hit in hits if hit % 2 == parity]
        squeezed = [hit for i, hit in enumerate(of_kind) if i == 0 or of_kind[i - 1] != hit][-32:]
        rows = [squeezed[at:] for at in range(len(squeezed)) if len(set(squeezed[at:])) == c]
        if not rows:
            return []
        longest, shortest = rows[0], rows[-1]
        kinds.append((list(dict.fromkeys(longest)), circle(longest, c), list(dict.fromkeys(shortest))))
    found = []
    for even, odd in zip(*kinds):
        sequence = [(even, odd)[i % 2][i // 2] for i in range(count)]
        if sequence not in found:
            found.append(sequence)
    return found


def circle(row, c):
    places, met = [], None
    for hit in row:
        if hit not in places:
            at = 0 if met is None else places.index(met) + 1
            places.insert(at, hit)
            met = hit
        elif 1 <= (places.index(hit) - places.index(met)) % c <= c // 2:
            met = hit
    return places
