//! The knock lab, seen from outside.
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

#[path = "common/spelled.rs"]
mod spelled;

use std::fs;

use klopf_spa::encoded::{Claim, Mark, Transport, Whom, seal};
use klopf_spa::{CodePlace, Knock, Name, Own, Shape, make_code, seal as seal_packet, seal_shares};
use klopf_wire::text;

use self::spelled::{Scene, now, one_pass, ports, template};

const DOORS: &str = "\
[door.ssh]
guard = [\"tcp/22\"]
keys = [\"*\"]
encoded = { ports = \"40000-40255\", fields = [\"addr\", \"port\", \"for\", \"flag\"] }

[door.old]
guard = [\"tcp/23\"]
sequence = [\"7000\", \"8000/udp\"]

[guestbook.a]
url = \"https://a.example/\"
";

fn listed(ports: &[u16]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl Scene {
    /// The ports of a knock that is not sent.
    fn spelled(&self, line: &str) -> Vec<u16> {
        let (code, out, err) = self.run(&format!("knock-encoded {line} --passes 1 --to-log -"));
        assert_eq!(code, 0, "{err}");
        ports(&out)
    }

    /// A knock that was made at another time.
    fn spelled_at(&self, time: u64) -> Vec<u16> {
        let claim = Claim { allow: Some(([203, 0, 113, 7].into(), 32)), port: None, hold: 0, flags: 0 };
        let key = (&self.server.public(), self.seed.public().id(), &Own::psk(&self.psk));
        let template = template(Whom::V4, true, Transport::Tcp);
        let (symbols, _) = seal(key, "ssh", &template, &claim, Mark::at(time)).unwrap();
        symbols.into_iter().map(|symbol| template.span.port(symbol).unwrap()).collect()
    }

    fn is_told(&self, line: &str, input: &str, code: i32, told: &[&str]) {
        let output = self.klopf().args(line.split_whitespace()).write_stdin(input).output().unwrap();
        let (found, out, err) = spelled::told(output);
        assert!(found == code && told.iter().all(|told| out.contains(told)), "{line}: {found}\n{out}{err}\n{told:?}");
        for secret in [self.psk.text(), self.seed.text(), self.server.text()] {
            assert!(!out.contains(&secret[..8]) && !err.contains(&secret[..8]), "{line}");
        }
    }
}

#[test]
fn hits_are_explained_to_whoever_has_made_them_and_to_the_server() {
    let scene = Scene::new();
    let hits = scene.spelled("home/ssh --allow 203.0.113.7 --port 22 --for 1h --flag 2");
    let told = ["203.0.113.7, port 22, for 1h00m, flags 2", "right: by the key", "set: 2", "It counts once."];
    scene.is_told(&format!("explain home/ssh {}", listed(&hits)), "", 0, &told);
    scene.is_told("explain home", &listed(&hits).replace(' ', ",\n"), 0, &told);
    let server = format!("explain --server --config {}", scene.server(DOORS));
    scene.is_told(&format!("{server} {}", listed(&hits)), "", 0, &told);
    scene.is_told(&format!("{server} /ssh"), &listed(&hits), 0, &["by the key laptop"]);
    scene.is_told(&format!("explain home/net {}", listed(&hits)), "", 0, &["They are for another door: ssh."]);
    // As they may arrive: strangers before, neighbours swapped, one twice.
    let mut arrived = [&[22, 80][..], &hits].concat();
    arrived.swap(4, 5);
    arrived.push(hits[3]);
    let told = ["No part of it: 22 80.", "another order", "as a second pass, changes nothing"];
    scene.is_told(&format!("explain home/ssh {}", listed(&arrived)), "", 0, &told);
}

#[test]
fn what_opens_nothing_is_told_why() {
    let scene = Scene::new();
    let hits = scene.spelled("home/ssh --allow 203.0.113.7");
    let is_told = |hits: &[u16], told: &[&str]| scene.is_told("explain home/ssh", &listed(hits), 65, told);
    is_told(&hits[1..], &["different hits for even places, and", "missing: 1"]);
    let mut other = hits.clone();
    other[0] = (40_000..).step_by(2).find(|port| !hits.contains(port)).unwrap();
    is_told(&other, &["tag is not right", "which they are not"]);
    is_told(&[22, 80], &["none of these ports"]);
    is_told(&scene.spelled_at(now() - 200 * 86_400), &["made at another time", "200d0"]);
    let old = scene.spelled_at(now() - 3000);
    scene.is_told("explain home/ssh", &listed(&old), 0, &["from this clock's time"]);
    let server = format!("explain --server --config {}", scene.server(DOORS));
    scene.is_told(&server, &listed(&old), 0, &["Now it opens nothing", "2m00s are allowed"]);
    // Of a stranger.
    let mut stranger = Scene::new();
    stranger.seed = klopf_spa::Seed::new([9; 32]);
    stranger.psk = klopf_spa::Psk::new([9; 32]);
    scene.is_told(&server, &listed(&stranger.spelled_at(now())), 65, &["For the door ssh they spell nothing"]);
    scene.is_told("explain home/ssh", "no knock at all\u{1b}[2J", 65, &[]);
    scene.is_told("explain home/ssh", "", 65, &[]);
    scene.is_told("explain other/ssh 40000 40001", "", 66, &[]);
    scene.is_told("explain home/web 40000 40001", "", 65, &["--ports"]);
    scene.is_told(&format!("{server} --ports 40000-40255"), "", 64, &[]);
    scene.is_told("explain --server --config /nowhere/klopf.toml 40000 40001", "", 66, &[]);
}

#[test]
fn what_key_and_door_do_not_grant_is_told() {
    let scene = Scene::new();
    let hits = listed(&scene.spelled("home/ssh --allow 203.0.113.7 --port 2222 --flag 1"));
    let server = |doors: &str| format!("explain --server --config {}", scene.server(doors));
    scene.is_told(&server(DOORS), &hits, 0, &["Now it opens nothing: the door grants less than that"]);
    let more = DOORS.replacen("\"tcp/22\"", "\"tcp/22\", \"tcp/2222\"", 1);
    scene.is_told(&server(&more), &hits, 0, &["It counts once."]);
    let nobody = more.replacen("[door.ssh]", "[door.ssh]\nvia = [\"packet\"]", 1);
    scene.is_told(&server(&nobody), &hits, 0, &["the key laptop may not open the door ssh this way"]);
    let line = server(&more);
    let key = scene.folder.join("server/keys.d/laptop.toml");
    let terms = "expires = 2026-01-01T00:00:00Z\nnetworks = [\"192.0.2.0/24\"]\n";
    fs::write(&key, fs::read_to_string(&key).unwrap() + terms).unwrap();
    scene.is_told(&line, &hits, 0, &["has expired: 2026-01-01", "may not let in 203.0.113.7"]);
    // Of a device that is not known yet nothing can be read.
    let once = fs::read_to_string(&key).unwrap().replace(terms, "once = true\n");
    fs::write(&key, once).unwrap();
    scene.is_told(&line, &hits, 65, &["For the door ssh they spell nothing"]);
    let own = Own::bound(&scene.psk, [7; 16]);
    let id = scene.seed.public().id();
    let claim = Claim { allow: Some(([203, 0, 113, 7].into(), 32)), port: None, hold: 0, flags: 0 };
    let template = template(Whom::V4, true, Transport::Tcp);
    let (symbols, _) = seal((&scene.server.public(), id, &own), "ssh", &template, &claim, Mark::at(now())).unwrap();
    let ports: Vec<u16> = symbols.iter().map(|symbol| template.span.port(*symbol).unwrap()).collect();
    let record = [&id.0[..], &[0; 20], &[1], &[7; 16], &[0; 19]].concat();
    fs::write(scene.folder.join("server/replay"), record).unwrap();
    scene.is_told(&line, &listed(&ports), 0, &["by the key laptop", "It counts once."]);
}

#[test]
fn texts_are_explained() {
    let scene = Scene::new();
    let server = format!("explain --server --config {}", scene.server(DOORS));
    let (_, token, _) = scene.run("token home/ssh --allow 2001:db8::7 --for 10m");
    let told = ["A token, 61 bytes", "2001:db8::7", "10m00s", "ssh"];
    scene.is_told("explain home", &format!("Dear \u{1b} gate,\n{token}"), 0, &told);
    scene.is_told(&server, &token, 0, &told);
    let public = scene.server.public();
    let body = text::read(&token).unwrap().body;
    let shares = seal_shares(&public, &body, 2, &["a", "b"], &mut |out| out.fill(7)).unwrap();
    let share = |share: &[u8]| text::write(share, text::Shape::Plain, &mut |_| ()).unwrap();
    scene.is_told(&server, &share(&shares[0]), 0, &["For the guestbook a", "2 shares", "number 1"]);
    scene.is_told(&server, &share(&shares[1]), 65, &["for none of the guestbooks"]);
    let place = CodePlace { sheet: 1234, index: 6 };
    let own = Own::psk(&scene.psk);
    let code = make_code(&public, scene.seed.public().id(), &own, "ssh", place).unwrap();
    let words = text::write(&code, text::Shape::Words, &mut |_| ()).unwrap();
    let told = ["number 7 of sheet 1234", "203.0.113.7, which is let in"];
    scene.is_told("explain home", &format!("{words} 203.0.113.7"), 0, &told);
    scene.is_told(&server, &words, 0, &["By the key laptop", "No address stands beside it"]);
}

/// A sealed packet of this person.
fn sealed(scene: &Scene) -> Vec<u8> {
    let door = Name::new("ssh").unwrap();
    let knock = Knock {
        time: now() * 1000,
        counter: 7,
        device: [5; 16],
        allow: Some([203, 0, 113, 9].into()),
        hold: 60,
        code: Some(123_456),
        door,
    };
    let way = (&scene.server.public(), Shape::None);
    seal_packet(way, (&scene.seed, &scene.psk), &knock, now() * 1000, &mut |out| out.fill(3))
}

#[test]
fn a_sealed_packet_is_explained_as_far_as_its_reader_can_open_it() {
    let scene = Scene::new();
    let hex: String = sealed(&scene).iter().map(|byte| format!("{byte:02x}")).collect();
    let server = format!("explain --server --config {}", scene.server(DOORS));
    scene.is_told(
        &server,
        &hex,
        0,
        &["by the key laptop", "for 203.0.113.9, for 1m00s", "7, the number of this knock"],
    );
    scene.is_told("explain home", &hex, 0, &["which key it is", "only the server can open"]);
    scene.is_told("explain home", &hex.replacen("03", "04", 1), 65, &[]);
    let (_, out, _) = spelled::told(scene.klopf().args(["explain", "home"]).write_stdin(hex).output().unwrap());
    assert!(!out.contains("123456"));
}

#[test]
fn a_log_is_followed_line_by_line() {
    let scene = Scene::new();
    let config = scene.server(DOORS);
    let log = scene.folder.join("kern.log");
    let mut lines = vec![
        "Nov 23 09:12:01 gate sshd[1]: Accepted publickey".to_owned(),
        "Nov 23 09:12:01 gate kernel: IN=eth0 OUT= SRC=1.2.3.4 DST=5.6.7.8 \u{1b}[2J PROTO=ICMP TYPE=8".to_owned(),
    ];
    let (_, hits, _) = scene.run("knock-encoded home/ssh --allow 203.0.113.7 --to-log -");
    lines.extend(hits.lines().map(str::to_owned));
    let plain = |time: &str, rest: &str| {
        format!(
            "2026-11-23T09:12:{time}Z gate kernel: IN=eth0 OUT= MAC= SRC=192.0.2.9 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF {rest}"
        )
    };
    lines.push(plain("01", "PROTO=TCP SPT=40000 DPT=7000 WINDOW=64240 RES=0x00 SYN URGP=0"));
    lines.push(plain("02", "PROTO=UDP SPT=40000 DPT=8000 LEN=9"));
    // The same once more, later: it counts no more.
    lines.extend(one_pass_of(&hits));
    fs::write(&log, lines.join("\n")).unwrap();
    let line = format!("explain --server --config {config} --log {}", log.display());
    let told = [
        "203.0.113.7 hits",
        "ssh: an encoded sequence by the key laptop, for 203.0.113.7",
        "hits from logs do not open this door",
        "a second pass of the same",
        "no hit: it is not as the kernel writes lines",
        "\\u{1b}[2J",
        "old: its sequence is complete, for 192.0.2.9",
        "hits from 2 addresses: 1 sequences and 1 encoded ones",
    ];
    scene.is_told(&line, "", 0, &told);
    let reader = format!("explain --server --config {config} --log - --pattern from=(?<src>\\S+)\\sto=(?<dport>\\d+)");
    let input: String = ports(&hits).iter().map(|port| format!("from=198.51.100.1 to={port}\n")).collect();
    scene.is_told(&reader, &input, 0, &["198.51.100.1 hits", "encoded sequence by the key laptop"]);
    scene.is_told(&format!("{reader} --pattern ("), &input, 78, &[]);
    let access = scene.run("token home/ssh --allow 203.0.113.7").1;
    let access = format!("203.0.113.7 - - [23/Nov/2026:09:12:01 +0000] \"GET /x?{} HTTP/1.1\" 404 0\n", access.trim());
    scene.is_told(
        &format!("explain --server --config {config} --log -"),
        &access,
        0,
        &["A token, 49 bytes", "1 lines hold"],
    );
}

#[test]
fn a_log_of_the_configuration_is_read_as_klopfd_reads_it() {
    let scene = Scene::new();
    let log = scene.folder.join("proxy.log");
    let pattern = r"patterns = ['from=(?<src>\S+) to=(?<dport>\d+)']";
    let table = format!("{DOORS}\n[log.proxy]\nfile = \"{}\"\n{pattern}\n", log.display());
    let hits = scene.spelled("home/ssh --allow 203.0.113.7");
    let lines: String = hits.iter().map(|port| format!("from=198.51.100.1 to={port}\n")).collect();
    fs::write(&log, lines).unwrap();
    let explain = |doors: &str, rest: &str| {
        format!("explain --server --config {} --log {}{rest}", scene.server(doors), log.display())
    };
    let told = ["198.51.100.1 hits", "encoded sequence by the key laptop"];
    scene.is_told(&explain(&table, ""), "", 0, &told);
    // What the command line says goes first, and without the table they are no lines of a firewall.
    scene.is_told(&explain(&table, " --preset nft"), "", 0, &[" lines, 0 hits"]);
    scene.is_told(&explain(DOORS, ""), "", 0, &[" lines, 0 hits"]);
}

/// The lines of the first pass.
fn one_pass_of(log: &str) -> Vec<String> {
    let length = template(Whom::V4, true, Transport::Tcp).length();
    assert_eq!(one_pass(log, length).len(), length);
    log.lines().take(length).map(str::to_owned).collect()
}

/// An IPv4 packet of UDP, or the SYN of TCP.
fn ip(from: [u8; 4], port: u16, tcp: bool, payload: &[u8]) -> Vec<u8> {
    let transport = match tcp {
        true => [&[0x9c, 0x40][..], &port.to_be_bytes(), &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xfa, 0xf0, 0, 0, 0, 0]]
            .concat(),
        false => {
            let length = u16::try_from(payload.len() + 8).unwrap();
            [&[0x9c, 0x40][..], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
        }
    };
    let length = u16::try_from(transport.len() + 20).unwrap();
    let head = [
        &[0x45, 0][..],
        &length.to_be_bytes(),
        &[0, 1, 0x40, 0, 64, if tcp { 6 } else { 17 }, 0, 0],
        &from,
        &[192, 0, 2, 1],
    ];
    [&head.concat()[..], &transport].concat()
}

/// A capture of frames of a kind, as pcap or as pcapng.
fn capture(next_generation: bool, link: u16, frames: &[Vec<u8>]) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let seconds = u32::try_from(now()).unwrap();
    if !next_generation {
        let mut file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &word(65_535), &word(link.into())].concat();
        for frame in frames {
            file.extend([&seconds.to_le_bytes()[..], &word(0), &word(frame.len()), &word(frame.len()), frame].concat());
        }
        return file;
    }
    let block = |kind: usize, body: &[u8]| {
        let length = word(body.len() + 12);
        [&word(kind)[..], &length, body, &length].concat()
    };
    let section = [&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat();
    let mut file = block(0x0a0d_0d0a, &section);
    file.extend(block(1, &[&link.to_le_bytes()[..], &[0, 0], &word(65_535)].concat()));
    for frame in frames {
        let time = u64::from(seconds) * 1_000_000;
        let (high, low) =
            (word(usize::try_from(time >> 32).unwrap()), word(usize::try_from(time & 0xffff_ffff).unwrap()));
        let padding = vec![0; (4 - frame.len() % 4) % 4];
        let head = [&word(0)[..], &high, &low, &word(frame.len()), &word(frame.len())].concat();
        file.extend(block(6, &[&head[..], frame, &padding].concat()));
    }
    file
}

#[test]
fn a_capture_is_followed_packet_by_packet() {
    let scene = Scene::new();
    let config = scene.server(DOORS);
    let hits = scene.spelled("home/ssh --allow 203.0.113.7");
    let mut packets: Vec<Vec<u8>> = hits.iter().map(|port| ip([203, 0, 113, 7], *port, true, &[])).collect();
    packets.push(ip([203, 0, 113, 7], 7000, true, &[]));
    packets.push(ip([203, 0, 113, 7], 8000, false, &[0]));
    packets.push(ip([203, 0, 113, 9], 4711, false, &sealed(&scene)));
    packets.push(vec![0; 20]);
    let ethernet = |packet: &Vec<u8>| [&[0; 12][..], &[8, 0], packet].concat();
    let cooked = |packet: &Vec<u8>| [&[0; 14][..], &[8, 0], packet].concat();
    let path = scene.folder.join("knocks.pcap");
    let line = format!("explain --server --config {config} --pcap {}", path.display());
    for next_generation in [false, true] {
        let kinds = [
            (1, packets.iter().map(ethernet).collect::<Vec<_>>()),
            (101, packets.clone()),
            (113, packets.iter().map(cooked).collect()),
        ];
        for (link, frames) in kinds {
            let file = capture(next_generation, link, &frames);
            fs::write(&path, &file).unwrap();
            let told = [
                "ssh: an encoded sequence by the key laptop, for 203.0.113.7",
                "old: its sequence is complete, for 203.0.113.7",
                "203.0.113.9 sends a sealed packet to 4711/udp",
                "It asks for the door ssh, by the key laptop, for 203.0.113.9, for 1m00s",
                "1 sequences and 1 encoded ones are complete; 1 sealed packets; 1 are nothing",
            ];
            scene.is_told(&line, "", 0, &told);
            // Who has cut it is told so, and all before counts.
            fs::write(&path, &file[..file.len() - 7]).unwrap();
            scene.is_told(&line, "", 0, &["encoded sequence by the key laptop"]);
        }
    }
    fs::write(&path, "no capture\n").unwrap();
    scene.is_told(&line, "", 65, &[]);
    fs::write(&path, "").unwrap();
    scene.is_told(&line, "", 65, &[]);
    scene.is_told("explain home --pcap /nowhere.pcap", "", 66, &[]);
}
