import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { readAddress } from '../src/address.js';
import { openSealed } from '../src/sealed.js';
import { check, plainText } from '../src/text.js';
import { languageOf, textsOf } from '../src/texts.js';
import { makeToken, nextCounter } from '../src/token.js';

const bytes = (text) => new Uint8Array(Buffer.from(text, 'hex'));
const hex = (given) => Buffer.from(given).toString('hex');

function vectors(kind) {
    const path = new URL(`../../crates/klopf-spa/vectors/${kind}.json`, import.meta.url);
    const all = JSON.parse(readFileSync(path, 'utf8')).vectors;
    assert.ok(all.length > 0);
    return all;
}

test('tokens are made as in the vectors', () => {
    for (const { name, pkS, id, key, n, claim, token } of vectors('tokens').filter(({ refused }) => !refused)) {
        const made = makeToken(
            { server: bytes(pkS), id: bytes(id), seal: bytes(key) },
            { ...claim, address: readAddress(claim.address).bytes },
            bytes(n),
        );
        assert.equal(hex(made), token, name);
    }
});

test('what Rust seals is opened with its passphrase alone', async () => {
    for (const vector of vectors('pages')) {
        const opened = await openSealed(bytes(vector.sealed), ` ${vector.passphrase.replace(' ', ' \n ')}\t`);
        if (vector.refused) {
            assert.equal(opened, null, vector.name);
            continue;
        }
        const { server, id, seal, mail, doors } = opened;
        const found = { pkS: hex(server), id: hex(id), seal: hex(seal), mail, doors };
        const { pkS, id: givenId, seal: givenSeal, mail: givenMail, doors: givenDoors } = vector;
        assert.deepEqual(found, { pkS, id: givenId, seal: givenSeal, mail: givenMail, doors: givenDoors }, vector.name);
    }
});

test('a token is lower-case base32 with a check behind', () => {
    assert.equal(check(Buffer.from('123456789')), 0x29b1);
    // RFC 4648, section 10, with the check of nothing, and without padding.
    assert.equal(plainText(new Uint8Array()), '777q');
    assert.equal(plainText(new Uint8Array(49)).length, 82);
    assert.match(plainText(new Uint8Array(61).fill(255)), /^7[a-z2-7]{100}$/);
});

test('no counter comes twice, whatever the clock says', () => {
    assert.deepEqual([[0, 1000], [1000, 1000], [1000, 5], [5, 1000]].map((pair) => nextCounter(...pair)), [1000, 1001, 1001, 1000]);
});

test('addresses are read as people write them', () => {
    for (const [text, expected] of [
        ['192.0.2.7', 'c0000207'],
        ['  192.0.2.7\n', 'c0000207'],
        ['2001:db8::7:1', '20010db8000000000000000000070001'],
        ['[2001:DB8::]', '20010db8000000000000000000000000'],
        ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
        ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
        ['64:ff9b::192.0.2.7', '0064ff9b0000000000000000c0000207'],
        ['::ffff:192.0.2.7', 'c0000207'],
        ['::ffff:c000:207', 'c0000207'],
    ]) {
        assert.equal(hex(readAddress(text).bytes), expected, text);
    }
});

test('what is no address is refused', () => {
    for (const text of [
        '', ' ', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4/24', '1.2.3.-4', '1.2.3.4e0', '1..2.3',
        ':', ':::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '1:2:3:4:5:6:7::8', '12345::', 'g::', 'fe80::1%eth0',
        '::1.2.3', '::1.2.3.4:1', '1.2.3.4::', 'host.example', '192.0.2.7:22', '1:2:3:4:5:6:7:1.2.3.4',
    ]) {
        assert.equal(readAddress(text), null, text);
    }
});

test('addresses that no server lets in, and private ones, are told apart', () => {
    const notes = { never: [], inside: [], '': [] };
    notes.never = ['0.0.0.0', '127.0.0.1', '224.0.0.1', '239.255.255.255', '255.255.255.255', '::', '::1', 'ff02::1', '::ffff:127.0.0.1'];
    notes.inside = ['10.1.2.3', '192.168.1.2', '172.16.0.1', '172.31.0.1', '169.254.1.1', '100.64.0.1', 'fd00::1', 'fe80::1', 'febf::1'];
    notes[''] = ['1.1.1.1', '172.32.0.1', '100.128.0.1', '192.0.2.7', '223.1.1.1', '2001:db8::1', '::2', 'fec0::1'];
    for (const [note, texts] of Object.entries(notes)) {
        for (const text of texts) {
            assert.equal(readAddress(text).note, note, text);
        }
    }
});

test('both languages say the same things', () => {
    const [english, german] = ['en', 'de'].map(textsOf);
    assert.deepEqual(Object.keys(german), Object.keys(english));
    const kinds = (texts) => Object.values(texts).map((text) => [typeof text, text.length > 0 && typeof text === 'function' ? text.length : 0]);
    assert.deepEqual(kinds(german), kinds(english));
    assert.deepEqual(['de', 'de-AT', 'DE', 'en-GB', 'den', ''].map(languageOf), ['de', 'de', 'de', 'en', 'en', 'en']);
    const used = readFileSync(new URL('../src/page.html', import.meta.url), 'utf8').matchAll(/data-(?:t|label)="(\w+)"/g);
    for (const [, name] of used) {
        assert.equal(typeof english[name], 'string', name);
    }
});
