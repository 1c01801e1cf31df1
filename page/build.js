// Makes crates/klopf/src/page/knock.html of src/: one file with all in it, but for what `klopf page` seals into it.
//
// usage: node build.js [--check]     --check: writes nothing, fails if the file there is another one

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

import { build } from 'esbuild';

const OUT = new URL('../crates/klopf/src/page/knock.html', import.meta.url);
// Browsers of 2021 and later.
const TARGET = ['chrome90', 'firefox90', 'safari14.1'];

const here = (path) => new URL(path, import.meta.url).pathname;
const read = (path) => readFileSync(here(path), 'utf8');

async function bundled(path) {
    const made = await build({
        entryPoints: [here(path)],
        bundle: true,
        charset: 'utf8',
        format: 'iife',
        legalComments: 'none',
        logLevel: 'error',
        logLimit: 3,
        minify: true,
        target: TARGET,
        write: false,
    });
    return made.outputFiles[0].text.trim();
}

/** Both are under the same licence: whose they are, and its text once. */
function licence() {
    const texts = ['ciphers', 'hashes'].map((name) => read(`node_modules/@noble/${name}/LICENSE`).trim());
    const isOwner = (line) => line.startsWith('Copyright');
    const owners = new Set(texts.flatMap((text) => text.split('\n').filter(isOwner)));
    const [first, second] = texts.map((text) => text.split('\n').filter((line) => !isOwner(line)).join('\n'));
    if (first.replace(/\s+/g, ' ') !== second.replace(/\s+/g, ' ')) {
        throw new Error('the licences of @noble/ciphers and @noble/hashes are no longer the same');
    }
    const [title, ...rest] = first.split(/\n\n+/);
    return [title, [...owners].join('\n'), ...rest].join('\n\n');
}

const source = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const [style, script] = [await bundled('src/style.css'), await bundled('src/main.js')];
const policy = [
    "default-src 'none'",
    `script-src ${source(script)}`,
    `style-src ${source(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
].join('; ');
const parts = { licence: licence(), policy, style, script, sealed: '{{sealed}}' };
const page = read('src/page.html').replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);

if (process.argv.includes('--check')) {
    if (readFileSync(OUT, 'utf8') !== page) {
        console.error('crates/klopf/src/page/knock.html is not what page/ makes; to make it: cd page && npm run build');
        process.exit(1);
    }
} else {
    writeFileSync(OUT, page);
}
const size = (text) => `${Buffer.byteLength(text)} bytes`;
console.log(`knock.html: ${size(page)}, of which script ${size(script)}, style ${size(style)}`);
