//! Logs: lines, NFLOG's messages, the journal.

use std::sync::LazyLock;

use klopf_wire::line::journal::{self, Reader};
use klopf_wire::line::{LONGEST, Patterns, Preset, nflog};
use klopf_wire::{Proto, TcpFlags, parse_packet};

static NFT: LazyLock<Patterns> = LazyLock::new(|| patterns(Some(Preset::Nft), None, &[]));
static KNOCK: LazyLock<Patterns> = LazyLock::new(|| patterns(Some(Preset::Iptables), Some("KNOCK "), &[]));
static UFW: LazyLock<Patterns> = LazyLock::new(|| patterns(Some(Preset::Ufw), None, &[]));
static OWN: LazyLock<Patterns> = LazyLock::new(|| {
    let texts = [
        r"^(?<src>\S+) .*GET /k/(?<dport>\d+)",
        r"(?<proto>tcp|udp|\d+) (?<src>[0-9a-f.:]+) > (?<dst>\S+) (?<dport>\d{1,6})",
    ];
    patterns(None, None, &texts)
});

fn patterns(preset: Option<Preset>, prefix: Option<&str>, own: &[&str]) -> Patterns {
    let own: Vec<_> = own.iter().map(ToString::to_string).collect();
    Patterns::new(preset, prefix, &own).expect("patterns")
}

/// Reads the input as a line, and as what a stranger says within one; whether it is a hit.
pub fn line(input: &[u8]) -> bool {
    let all = [&*NFT, &KNOCK, &UFW, &OWN].map(|patterns| {
        let hit = patterns.read(input);
        assert_eq!(hit.is_none(), patterns.miss(input).is_some());
        if let Some((which, hit)) = hit {
            assert!(which < patterns.len() && patterns.shown(which).is_some() && input.len() <= LONGEST + 2);
            assert!(hit.port.proto == Proto::Tcp || hit.flags == TcpFlags::default());
        }
        hit
    });
    let [kernels, prefixed @ .., _] = &all;
    if let Some((_, hit)) = kernels {
        assert_eq!(hit.dst.map(|dst| dst.is_ipv4()), Some(hit.src.is_ipv4()));
    }
    assert!(prefixed.iter().all(|hit| hit.is_none() || hit == kernels), "a prefix adds no hits");
    for (before, behind) in [("sshd[7]: Invalid user ", " from 203.0.113.9 port 22"), ("\"GET /", " HTTP/1.1\" 200 1")]
    {
        let said = [before.as_bytes(), input, behind.as_bytes()].concat();
        assert_eq!(NFT.read(&said), None, "{said:?}");
    }
    all.iter().any(Option::is_some)
}

/// Reads the input as what a socket of NFLOG gave; whether there is a packet in it that is a knock.
pub fn nflog(input: &[u8]) -> bool {
    let all: Vec<_> = nflog::packets(input).collect();
    assert!(all.len() <= 1 + input.len() / 16);
    let packets: usize = all.iter().flatten().map(|logged| logged.packet.len()).sum();
    assert!(packets <= input.len());
    all.iter().flatten().any(|logged| parse_packet(logged.packet).is_ok())
}

/// Reads the input but its first byte as what the journal writes, at once and in pieces as long as that byte says; whether there is an entry with a
/// cursor in it.
pub fn journal(input: &[u8]) -> bool {
    let Some((&length, text)) = input.split_first() else { return false };
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut reader, mut found) = (Reader::new(), Vec::new());
        for piece in pieces {
            reader.read(piece, |entry| {
                assert!(
                    entry.message.len() <= journal::LONGEST_MESSAGE && entry.cursor.len() <= journal::LONGEST_CURSOR
                );
                found.push((entry.message.to_vec(), entry.is_cut, entry.cursor.to_vec()));
            });
        }
        (found, reader.broken())
    };
    let found = read(&mut std::iter::once(text));
    assert_eq!(read(&mut text.chunks(usize::from(length).max(1))), found);
    found.0.iter().any(|(_, _, cursor)| !cursor.is_empty())
}
