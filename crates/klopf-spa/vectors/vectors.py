#!/usr/bin/env python3
"""Makes and checks the test vectors of `docs/PROTOCOL.md`.

usage: vectors.py make DIR     writes the files into DIR
       vectors.py check DIR    computes everything in them again; exit status 1 if something differs

Needs the package cryptography (Debian: python3-cryptography).
"""

import itertools
import json
import pathlib
import sys

sys.dont_write_bytecode = True  # nothing is to be left beside the vectors

import cases
import encoded
import encoded_cases
import protocol
import standard
import test_standard


def unhex(vector, *names):
    return (bytes.fromhex(vector[name]) for name in names)


def own_of(vector):
    (psk,) = unhex(vector, "psk")
    return protocol.own_of(psk, bytes.fromhex(vector["device"]) if vector["device"] else None)


# --- what each kind of vector has, from what it is made of; and what opening it must give


def complete_keys(vector):
    seed, skS = unhex(vector, "seed", "skS")
    me, pkS = protocol.person_keys(seed), standard.x25519_public(skS)
    text = {"public_text": protocol.to_text(me["public"]), "pkS_text": protocol.to_text(pkS)}
    return me | {"pkS": pkS} | protocol.server_keys(pkS) | text


def open_keys(vector):
    return {"public": protocol.public_from_text(vector["public_text"])}


def complete_packet(vector):
    skS, seed, psk, ikmE, nonce = unhex(vector, "skS", "seed", "psk", "ikmE", "nonce")
    me, pkS = protocol.person_keys(seed), standard.x25519_public(skS)
    claim = vector["claim"] | {"device": bytes.fromhex(vector["claim"]["device"])}
    made = protocol.make_packet(pkS, seed, psk, ikmE, nonce, vector["length"], claim)
    return {"pkS": pkS} | me | made


def open_packet(vector):
    packet, skS, public, psk = unhex(vector, "packet", "skS", "public", "psk")
    return {"claim": protocol.open_packet(packet, skS, [(public, psk)])}


def complete_port(vector):
    (pkS,) = unhex(vector, "pkS")
    return protocol.hop_port(pkS, vector["time"]) if "time" in vector else {"port": protocol.default_port(pkS)}


def complete_token(vector):
    pkS, me_id, n = unhex(vector, "pkS", "id", "n")
    return protocol.make_token(pkS, me_id, own_of(vector), n, vector["claim"])


def open_token(vector):
    token, pkS, me_id = unhex(vector, "token", "pkS", "id")
    doors = [vector["claim"]["door"]] if "claim" in vector else []
    return {"claim": protocol.open_token(token, pkS, [(me_id, own_of(vector))], doors)}


def complete_shares(vector):
    pkS, token, group = unhex(vector, "pkS", "token", "group")
    coefficients = [bytes.fromhex(coefficient) for coefficient in vector["coefficients"]]
    return protocol.make_shares(pkS, token, vector["k"], vector["books"], group, coefficients)


def open_shares(vector):
    """Where there is one share only, what it says; else the parts, and the token, which any k must give."""
    (pkS,) = unhex(vector, "pkS")
    if "share" in vector:
        return protocol.open_share(*unhex(vector, "share"), pkS, vector["book"])
    shares = zip(vector["shares"], vector["books"])
    opened = [protocol.open_share(bytes.fromhex(share), pkS, book) for share, book in shares]
    tokens = {protocol.combine(chosen) for chosen in itertools.combinations(opened, vector["k"])}
    (token,) = tokens
    return {"parts": [protocol.make_part(**share) for share in opened], "token": token}


def opened_share(share):
    group, values = unhex(share, "group", "values")
    return {"group": group, "k": share["k"], "x": share["x"], "values": values}


def combine(vector):
    return {"token": protocol.combine([opened_share(share) for share in vector["shares"]])}


def complete_paper_code(vector):
    pkS, me_id = unhex(vector, "pkS", "id")
    return protocol.make_code(pkS, me_id, own_of(vector), vector["door"], vector["sheet"], vector["index"])


def open_paper_code(vector):
    code, pkS, me_id = unhex(vector, "paper_code", "pkS", "id")
    return protocol.open_code(code, pkS, [(me_id, own_of(vector))], vector["doors"])


def complete_sequence(vector):
    pkS, me_id = unhex(vector, "pkS", "id")
    said = (vector["template"], vector["claim"], vector["start"])
    made = encoded.make_sequence(pkS, me_id, own_of(vector), vector["door"], *said)
    return made | {name: encoded.to_text(made[name]) for name in ("symbols", "ports")}


def open_sequence(vector):
    pkS, me_id = unhex(vector, "pkS", "id")
    server = (pkS, [(me_id, own_of(vector))], vector["door"], vector["template"])
    return encoded.open_sequence(encoded.from_text(vector["symbols"]), *server, vector["now"])


def complete_readings(vector):
    found = encoded.readings(encoded.from_text(vector["hits"]), vector["count"])
    return {"readings": [encoded.to_text(sequence) for sequence in found]}


def complete_invitation(vector):
    told = vector | dict(zip(("pkS", "psk", "id"), unhex(vector, "pkS", "psk", "id")))
    told["seed"] = bytes.fromhex(vector["seed"]) if vector["seed"] else None
    told["left_aside"] = [{"tag": left["tag"], "bytes": bytes.fromhex(left["bytes"])} for left in vector["left_aside"]]
    text = protocol.invitation_text(protocol.fields_of(told))
    return {"bytes": protocol.from_text(text.removeprefix("klopf:")), "text": text}


def open_invitation(vector):
    return protocol.read_invitation(vector["text"])


def complete_code(vector):
    (secret,) = unhex(vector, "secret")
    step, code = standard.totp(secret, vector["time"])
    return {"step": step, "code": code, "digits": f"{code:06}"}


REFUSED = " A vector with `refused` must be refused"
# For each kind: what it says of itself, the cases, what completes a vector, and what opens it.
KINDS = {
    "keys": (
        "Section 1: the keys of a person (from `seed`) and of a server (from `skS`)." + REFUSED + ".",
        cases.keys,
        complete_keys,
        open_keys,
    ),
    "packets": (
        "Section 2: packets without a shape. The server has `skS` and knows one key, with `public` and `psk`. `ikmE` "
        "stands for the 32 random bytes of HPKE's ephemeral key: skE = DeriveKeyPair(ikmE) of RFC 9180. "
        "`shared_secret`, `key` and `base_nonce` are HPKE's; `head` is the knock up to its signature, `signed` what is "
        "signed. In a claim, time is in milliseconds, address null: the one that the packet comes from, code null: "
        "none." + REFUSED + " by this name.",
        cases.packets,
        complete_packet,
        open_packet,
    ),
    "ports": (
        "Sections 1 and 3: the port of a server whose clients were told no other, and, with `time` in seconds, the "
        "one that changes; `mac` is the HMAC of the step.",
        cases.ports,
        complete_port,
        None,
    ),
    "tokens": (
        "Section 5: tokens. The server knows one key, with `id` and `psk`, and `device` where it belongs to one; null "
        "where to none. `hidden_id` is bytes 8 to 12, `key` "
        "that of the seal, `data` its additional data, `plain` the claim in bytes; in a claim, time is in seconds."
        + REFUSED
        + " by this name.",
        cases.tokens,
        complete_token,
        open_token,
    ),
    "shares": (
        "Section 5: shares of a token, one for each of `books`; any `k` of them give `token`. `coefficients` are those "
        "of x, x^2 and so on, each with a byte for each of the token; `key` and `data` are those of the seal. A vector "
        "with `refused` is one share, that came by `book`, and must be refused by this name.",
        cases.shares,
        complete_shares,
        open_shares,
    ),
    "combinations": (
        "Section 5: opened shares and the token that they give." + REFUSED + " by this name: they give none.",
        cases.combinations,
        combine,
        combine,
    ),
    "paper": (
        "Section 5: codes for paper. The server knows one key, with `id` and `psk`, and `device` as with tokens; the "
        "key may open `doors`, and the code is for `door`. `signed` is what `tag` is made of; `hidden` is the rest of "
        "the code." + REFUSED + " by this name.",
        cases.paper,
        complete_paper_code,
        open_paper_code,
    ),
    "encoded": (
        "Section 10: encoded sequences. The server knows one key, with `id` and `psk`, and `device` as with tokens. "
        "The sequence is for `door`, whose template is `template`. `start` is the first mark that the client may take, "
        "`mark` the one that it takes, `now` the server's time in seconds. Bits are texts, and so are symbols and "
        "ports, in decimal; `context` is what the tag covers beside `mark` and `plain`."
        + REFUSED
        + " by this name, or not be taken for a sequence at all where that is `no-sequence`.",
        encoded_cases.sequences,
        complete_sequence,
        open_sequence,
    ),
    "arrivals": (
        "Section 10: hits of one origin in the order in which they came, the newest last, and the sequences of `count` "
        "hits that are tried then.",
        encoded_cases.arrivals,
        complete_readings,
        None,
    ),
    "invitations": (
        "Section 7: invitations. What is null is absent; `id` is that of `seed` where there is one; `left_aside` are "
        "the unknown fields." + REFUSED + "; by which name is left to the program.",
        cases.invitations,
        complete_invitation,
        open_invitation,
    ),
    "codes": (
        "Section 2: codes of the second factor. `time` is in seconds; `digits` is how people read `code`.",
        cases.codes,
        complete_code,
        None,
    ),
}


# --- make and check


def in_json(value):
    """Bytes as hex, all else as it is."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: in_json(inner) for key, inner in value.items()}
    return [in_json(inner) for inner in value] if isinstance(value, list) else value


def make(directory):
    for kind, (about, make_cases, complete, _) in KINDS.items():
        made = [in_json(case) for case in make_cases()]
        made = [vector if "refused" in vector else vector | in_json(complete(vector)) for vector in made]
        text = json.dumps({"about": about, "vectors": made}, indent=1)
        (directory / f"{kind}.json").write_text(text + "\n")


def differences(vector, expected):
    return [
        f"{name} is {vector.get(name)}, should be {value}"
        for name, value in in_json(expected).items()
        if vector.get(name) != value
    ]


def faults(vector, complete, opened):
    """What is wrong with a vector, one line each."""
    if "refused" not in vector:
        return differences(vector, complete(vector)) + (differences(vector, opened(vector)) if opened else [])
    try:
        opened(vector)
    except standard.Refused as refused:
        why = {"why": str(refused.__cause__)} if "why" in vector else {}
        return differences(vector, {"refused": str(refused)} | why)
    return ["it is not refused"]


def check(directory):
    test_standard.all_of_them()
    count = refused = wrong = 0
    for kind, (_, _, complete, opened) in KINDS.items():
        vectors = json.loads((directory / f"{kind}.json").read_text())["vectors"]
        names = {vector["name"] for vector in vectors}
        if not vectors or len(names) != len(vectors):
            sys.exit(f"{kind}.json: no vectors, or two of one name")
        for vector in vectors:
            try:
                found = faults(vector, complete, opened)
            except (standard.Refused, KeyError, TypeError, ValueError) as error:
                found = [f"{type(error).__name__}: {error}"]
            for fault in found:
                print(f"{kind}.json: {vector['name']}: {fault}")
            wrong += bool(found)
            refused += "refused" in vector
        count += len(vectors)
    if wrong:
        sys.exit(f"{wrong} of {count} vectors are wrong")
    print(f"{count} vectors checked, {refused} of them of what must be refused")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "check"):
        sys.exit(__doc__.strip())
    {"make": make, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))


if __name__ == "__main__":
    main()
