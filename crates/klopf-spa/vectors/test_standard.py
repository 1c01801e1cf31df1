"""Checks `standard.py` with what the RFCs give: before a vector of ours counts, theirs must come out."""

import standard


def unhex(text):
    return bytes.fromhex(text)


def hkdf():
    """RFC 5869, appendix A.1."""
    okm = standard.hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


def hpke():
    """RFC 9180, appendix A.2.4: AuthPSK with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305."""
    skE = standard.derive_private_key(unhex("49d6eac8c6c558c953a0a252929a818745bb08cd3d29e15f9f5db5eb2e7d4b84"))
    skR = standard.derive_private_key(unhex("f3304ddcf15848488271f12b75ecaf72301faabf6ad283654a14c398832eb184"))
    skS = standard.derive_private_key(unhex("20ade1d5203de1aadfb261c4700b6432e260d0d317be6ebbb8d7fffb1f86ad9d"))
    assert skE.hex() == "5e6dd73e82b856339572b7245d3cbb073a7561c0bee52873490e305cbb710410"
    assert skR.hex() == "7b36a42822e75bf3362dfabbe474b3016236408becb83b859a6909e22803cb0c"
    assert skS.hex() == "90761c5b0a7ef0985ed66687ad708b921d9803d51637c8d1cb72d03ed0f64418"

    pkR, pkS = standard.x25519_public(skR), standard.x25519_public(skS)
    shared_secret, enc = standard.auth_encap(pkR, skS, skE)
    assert enc.hex() == "656a2e00dc9990fd189e6e473459392df556e9a2758754a09db3f51179a3fc02"
    assert shared_secret.hex() == "86a6c0ed17714f11d2951747e660857a5fd7616c933ef03207808b7a7123fe67"
    assert standard.auth_decap(enc, skR, pkS) == shared_secret

    key, base_nonce = standard.key_schedule(
        shared_secret,
        info=unhex("4f6465206f6e2061204772656369616e2055726e"),
        psk=unhex("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82"),
        psk_id=unhex("456e6e796e20447572696e206172616e204d6f726961"),
    )
    assert key.hex() == "49c7e6d7d2d257aded2a746fe6a9bf12d4de8007c4862b1fdffe8c35fb65054c"
    assert base_nonce.hex() == "abac79931e8c1bcb8a23960a"

    plain, data = unhex("4265617574792069732074727574682c20747275746820626561757479"), unhex("436f756e742d30")
    sealed = standard.chacha_seal(key, base_nonce, plain, data)
    assert sealed.hex() == (
        "9aa52e29274fc6172e38a4461361d2342585d3aeec67fb3b721ecd63f059577c7fe886be0ede01456ebc67d597"
    )


# RFC 8452, appendices C.2 and C.3: key, nonce, additional data, plain text, sealed.
GCM_SIV = [
    ("01" + "00" * 31, "03" + "00" * 11, "", "", "07f5f4169bbf55a8400cd47ea6fd400f"),
    ("01" + "00" * 31, "03" + "00" * 11, "", "01" + "00" * 7, "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"),
    (
        "01" + "00" * 31,
        "03" + "00" * 11,
        "01" + "00" * 15 + "0200",
        "03" + "00" * 15 + "04000000",
        "43dd0163cdb48f9fe3212bf61b201976067f342bb879ad976d8242acc188ab59cabfe307",
    ),
    (
        "3c535de192eaed3822a2fbbe2ca9dfc88255e14a661b8aa82cc54236093bbc23",
        "688089e55540db1872504e1c",
        "734320ccc9d9bbbb19cb81b2af4ecbc3e72834321f7aa0f70b7282b4f33df23f167541",
        "ced532ce4159b035277d4dfbb7db62968b13cd4eec",
        "626660c26ea6612fb17ad91e8e767639edd6c9faee9d6c7029675b89eaf4ba1ded1a286594",
    ),
    (  # the counter wraps around
        "00" * 32,
        "00" * 12,
        "",
        "00" * 16 + "4db923dc793ee6497c76dcc03a98e108",
        "f3f80f2cf0cb2dd9c5984fcda908456cc537703b5ba70324a6793a7bf218d3eaffffffff000000000000000000000000",
    ),
]


def gcm_siv():
    for case in GCM_SIV:
        key, nonce, data, plain, sealed = map(unhex, case)
        assert standard.gcm_siv_seal(key, nonce, plain, data) == sealed
        assert standard.gcm_siv_open(key, nonce, sealed, data) == plain


def totp():
    """RFC 6238, appendix B, the rows of SHA-1 with their 8 digits."""
    codes = {
        59: 94287082,
        1111111109: 7081804,
        1111111111: 14050471,
        1234567890: 89005924,
        2000000000: 69279037,
        20000000000: 65353130,
    }
    for time, code in codes.items():
        assert standard.totp(b"12345678901234567890", time, digits=8)[1] == code


def all_of_them():
    """Ends with AssertionError where an RFC is not met."""
    for check in (hkdf, hpke, gcm_siv, totp):
        check()
