//! Messages there and back, and any bytes.

use klopf_engine::{Asks, Books, Source};
use proptest::prelude::*;

use super::*;

const PLACE: Place = Place { dev: 1, ino: u64::MAX, offset: 3, check: 4 };

fn door(target: Option<IpAddr>) -> Door {
    let flags = FlagMask { set: 2, clear: 16 };
    let (id, second_factor) = (DoorId(7), true);
    let ways = Ways::default();
    let may_ask = MayAsk::default();
    Door {
        id,
        sequences: vec![],
        one_time: true,
        flags,
        target,
        within: 5000,
        strict: true,
        second_factor,
        ways,
        may_ask,
    }
}

fn key() -> Key {
    Key {
        not_before: Some(0),
        expires: Some(u64::MAX),
        max_uses: Some(u32::MAX),
        no_clock: true,
        once: true,
        ..Key::new(KeyRef(u32::MAX), [4; 8])
    }
}

fn sealed(hold: Hold) -> Sealed {
    let source = Source::Packet(IpAddr::from([9_u16; 8]));
    let asks = Asks { port: Some(65_535), prefix: Some(128), flags: 255 };
    Sealed { key: KeyRef(7), source, form: Form::Packet, counter: u64::MAX, ahead: true, device: [6; 16], hold, asks }
}

/// With all that may be there, or nothing.
fn refused(some: Option<u32>) -> SealedRefusal {
    let origin = IpAddr::from([192, 0, 2, 7]);
    SealedRefusal {
        key: some.map(KeyRef),
        door: some.map(DoorId),
        source: Source::Mail(SourceId(7)),
        form: Form::Code(2047),
        address: some.map(|_| origin),
        why: Refusal::WrongClock,
        clock_ahead: some.map(|_| -5),
        burnt: some.map(u64::from),
    }
}

#[test]
fn every_message_to_the_watch_comes_through() {
    let v6 = IpAddr::from([1u16, 2, 3, 4, 5, 6, 7, 8]);
    for down in [
        Down::Door(door(None)),
        Down::Door(door(Some(v6))),
        Down::Sequence((0..32).map(|n| if n % 2 == 0 { Port::tcp(n) } else { Port::udp(65535 - n) }).collect()),
        Down::CommitDoors,
        Down::Local(3, v6),
        Down::Loopback(1),
        Down::Interface(70_000),
        Down::Begin,
        Down::Service(Proto::Udp, 1, 65535),
        Down::CommitSight(true),
        Down::Count,
        Down::Ping(u64::MAX - 1),
        Down::Called(Name::new(&"x".repeat(64)).unwrap()),
        Down::Server(ServerKey::new([8; 32]), Shape::Quic, 120_000, Earliest { all: 1, packets: u64::MAX }),
        Down::Key(key()),
        Down::Secrets(klopf_spa::Seed::new([7; 32]).public(), Psk::new([9; 32])),
        Down::KeyDoor(DoorId(3)),
        Down::Hours(Hours { days: 127, from: 1439, to: 1440 }),
        Down::Network(Network { address: v6, prefix: 128 }),
        Down::Factor(Factor(Zeroizing::new(vec![1; LONGEST_SECRET]))),
        Down::Mark([5; 8], Mark::new(9, 10..21, 3, Some([7; 16]))),
        Down::Mark([5; 8], Mark::new(0, [], 0, None)),
        Down::Ways(Ways { sequence: false, encoded: true, log: true, ..Ways::default() }),
        Down::Ways(Ways { mail: true, guestbooks: (0..32).map(SourceId).collect(), quorum: 8, ..Ways::default() }),
        Down::Sheet(2047),
        Down::Log(SourceId(9), Some(Preset::Ufw), true),
        Down::Log(SourceId(9), None, false),
        Down::Text(Piece::all(&[b'x'; 200])[0]),
        Down::Text(Piece::all(b"")[0]),
        Down::LogPrefix,
        Down::LogPattern,
        Down::LogChanges,
        Down::LogFile(SourceId(9), PLACE),
        Down::LogPackets(SourceId(9)),
        Down::LogJournal(SourceId(9)),
        Down::Ring(Depth::Headers),
        Down::Ring(Depth::Whole),
        Down::MayAsk(MayAsk { hold: Some(u64::MAX), prefix: 8, prefix6: 64, flags: 3, ports: Vec::new() }),
        Down::AskPorts((0..31).map(|n| (n, 65_535 - n)).collect()),
        Down::Spelling(Spelling { template: Template::read([0x3c, 17, 128, 0, 15]).unwrap(), pause: 60_000 }),
        Down::Source(SourceId(u16::MAX), true, Name::new(&"x".repeat(64)).unwrap()),
        Down::Judged(u32::MAX, Verdict::Later),
    ] {
        assert_eq!(Down::decode(&*down.encode()), Some(down));
    }
}

#[test]
fn every_message_to_the_keeper_comes_through() {
    let (door, origin) = (DoorId(9), IpAddr::from([192, 0, 2, 7]));
    let v6 = IpAddr::from([1u16, 2, 3, 4, 5, 6, 7, 8]);
    let books = Source::Guestbooks(Books::new((0..8).map(|number| SourceId(u16::MAX - number))));
    let knock = Knock { origin, from_port: 1, to: origin, port: Port::udp(53), flags: TcpFlags(0) };
    for up in [
        Up::Ready { landlock: true, seccomp: false },
        Up::Stage { door, origin, stage: 3 },
        Up::TimedOut { door, origin, stage: 31 },
        Up::Grant { door, address: origin, uses_up: None },
        Up::Grant { door, address: origin, uses_up: Some(0) },
        Up::Refused { door, origin },
        Up::Silenced(u64::MAX),
        Up::Strange,
        Up::Count(4, 1 << 40),
        Up::Packet(knock),
        Up::Broken { door, origin, stage: 2, at: Port::udp(65535) },
        Up::Pong(1 << 63),
        Up::Sealed { door, address: v6, sealed: sealed(Hold::Exactly(u64::MAX)), offer: None },
        Up::Sealed { door, address: origin, sealed: sealed(Hold::AsDoor), offer: Some(u32::MAX) },
        Up::Sealed {
            door,
            address: v6,
            sealed: Sealed { source: books, form: Form::Shares(8), ..sealed(Hold::AsDoor) },
            offer: Some(0),
        },
        Up::SealedRefused(refused(None)),
        Up::SealedRefused(refused(Some(1))),
        Up::Burnt { key: KeyRef(5), form: Form::Token, counter: u64::MAX },
        Up::Place(SourceId(u16::MAX), PLACE, true),
        Up::Cursor(SourceId(1), Piece::all(&[b'c'; 80])[0], false),
        Up::LogCounts(SourceId(1), [1, u64::MAX, 3]),
        Up::Sealed {
            door,
            address: v6,
            sealed: Sealed { source: Source::Log(SourceId(9)), form: Form::Encoded, ..sealed(Hold::AsDoor) },
            offer: None,
        },
    ] {
        assert_eq!(Up::decode(&up.encode()), Some(up));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..140)) {
        let _ = (Up::decode(&bytes), Down::decode(&bytes));
    }

    #[test]
    fn any_message_of_the_right_size_is_decoded_without_panic(tag in 0u8..50, rest: [u8; 32]) {
        let fill = |size| [tag].into_iter().chain(rest.into_iter().cycle()).take(size).collect::<Vec<u8>>();
        if let Some(up) = Up::decode(&fill(UP_SIZE)) {
            prop_assert_eq!(Up::decode(&up.encode()), Some(up));
        }
        let _ = Down::decode(&fill(DOWN_SIZE));
    }
}
