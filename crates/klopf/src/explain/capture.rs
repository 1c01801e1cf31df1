//! The packets of a capture, pcap or pcapng.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use klopf_spa::outer_id;
use klopf_wire::{FlagMask, Proto, parse_datagram, parse_packet};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

use super::lore::Lore;
use super::packet;
use super::replay::Replay;
use crate::failure::{Failure, code};
use crate::{complain, say};

/// Room for a block, in bytes; a longer one ends the reading.
const ROOM: usize = 1 << 20;
/// Interfaces of a section; more are not known.
const MOST: usize = 1 << 10;

/// How packets of an interface begin, and how its time counts.
#[derive(Clone, Copy)]
struct Interface {
    link: Linktype,
    resolution: u64,
    offset: i64,
}

/// Explains each packet that may be part of a knock.
pub(super) fn explain(lore: &Lore, path: &Path, now: u64) -> Result<ExitCode, Failure> {
    let broken = |why: &dyn std::fmt::Display| {
        Failure::new(code::DATA, format_args!("{} is no capture that can be read: {why}", path.display()))
    };
    let file = File::open(path)
        .map_err(|error| Failure::new(code::NO_INPUT, format_args!("cannot read {}: {error}", path.display())))?;
    let mut reader = create_reader(ROOM, file).map_err(|error| broken(&named(&error)))?;
    let mut lab = Lab { lore, replay: Replay::new(lore, false), now, number: 0, other: 0, sealed: 0 };
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut nanoseconds = false;
    let mut filled = usize::MAX;
    loop {
        match reader.next() {
            Ok((length, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        nanoseconds = header.is_nanosecond_precision();
                        interfaces = vec![Interface { link: header.network, resolution: 1, offset: 0 }];
                    }
                    PcapBlockOwned::Legacy(packet) => {
                        let part = u64::from(packet.ts_usec) / if nanoseconds { 1_000_000 } else { 1000 };
                        lab.frame(interfaces.first(), u64::from(packet.ts_sec) * 1000 + part, packet.data);
                    }
                    PcapBlockOwned::NG(block) => section(&block, &mut interfaces, &mut lab),
                }
                reader.consume(length);
                filled = usize::MAX;
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => {
                // No more room, or no more bytes: nothing has come since the last time.
                let there = reader.data().len();
                if there == filled || reader.refill().is_err() {
                    complain("The capture ends within a packet.");
                    break;
                }
                filled = there;
            }
            Err(error) if lab.number == 0 => return Err(broken(&named(&error))),
            Err(error) => {
                complain(format_args!("From here on the capture is broken: {}.", named(&error)));
                break;
            }
        }
    }
    let Lab { replay, number, other, sealed, .. } = lab;
    say(format_args!(
        "{number} packets, {} hits from {} addresses: {} sequences and {} encoded ones are complete; {sealed} sealed packets; {other} are \
         nothing of that.",
        replay.hits,
        replay.origins(),
        replay.sequences,
        replay.spelled
    ));
    Ok(ExitCode::SUCCESS)
}

/// What is wrong, without the bytes that were read.
fn named<I: std::fmt::Debug>(error: &PcapError<I>) -> &'static str {
    match error {
        PcapError::Eof | PcapError::UnexpectedEof | PcapError::Incomplete(_) => "it ends too early",
        PcapError::BufferTooSmall => "a packet in it is too long",
        PcapError::ReadError => "it cannot be read",
        PcapError::HeaderNotRecognized => "it begins neither as pcap nor as pcapng",
        _ => "it is not as pcap or pcapng have it",
    }
}

/// A block of pcapng.
fn section(block: &Block<'_>, interfaces: &mut Vec<Interface>, lab: &mut Lab<'_>) {
    match block {
        Block::SectionHeader(_) => interfaces.clear(),
        Block::InterfaceDescription(told) if interfaces.len() < MOST => interfaces.push(Interface {
            link: told.linktype,
            resolution: told.ts_resolution().unwrap_or(1_000_000).max(1),
            offset: told.ts_offset(),
        }),
        Block::EnhancedPacket(packet) => {
            let interface = usize::try_from(packet.if_id).ok().and_then(|id| interfaces.get(id));
            let time = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            let ms = interface.map_or(0, |interface| {
                let ms = u128::from(time) * 1000 / u128::from(interface.resolution);
                u64::try_from(ms).unwrap_or(0).saturating_add_signed(interface.offset.saturating_mul(1000))
            });
            let length = usize::try_from(packet.caplen).unwrap_or(0);
            lab.frame(interface, ms, packet.data.get(..length).unwrap_or(packet.data));
        }
        // Without a time.
        Block::SimplePacket(packet) => lab.frame(interfaces.first(), lab.now * 1000, packet.data),
        _ => {}
    }
}

/// Follows packets.
struct Lab<'l> {
    lore: &'l Lore,
    replay: Replay<'l>,
    now: u64,
    number: u64,
    other: u64,
    sealed: u64,
}

impl Lab<'_> {
    /// Takes in a packet of an interface, at a moment in milliseconds since 1970.
    fn frame(&mut self, interface: Option<&Interface>, ms: u64, frame: &[u8]) {
        self.number += 1;
        let Some(packet) = interface.and_then(|interface| within(interface.link, frame)) else {
            self.other += 1;
            return;
        };
        let number = self.number;
        if let Ok((knock, payload)) = parse_datagram(packet)
            && let Some(id) = outer_id(&self.lore.server, self.lore.shape, payload)
        {
            self.sealed += 1;
            let key = self.lore.keys.iter().find(|key| key.id == id);
            let name = packet::name(key, id);
            say(format_args!("{number:>6}  {} sends a sealed packet to {}", knock.origin, knock.port));
            let told = match packet::knock(self.lore, payload) {
                Some(knock) => packet::said(&name, &knock, ms / 1000),
                None if self.lore.opener.is_some() => format!("by the key {name}, as it says, but it does not open"),
                None => format!("by the key {name}, as it says; what it asks for only the server can open: --server"),
            };
            say(format_args!("        {}", told.trim_end()));
            return;
        }
        match parse_packet(packet) {
            Ok(knock) if knock.port.proto == Proto::Udp || FlagMask::OPENING.fits(knock.flags) => {
                let told = self.replay.hit(ms, &[ms / 1000], &knock);
                say(format_args!("{number:>6}  {} hits {}", knock.origin, knock.port));
                told.iter().for_each(|told| say(format_args!("        {told}")));
            }
            _ => self.other += 1,
        }
    }
}

/// The IP packet in a frame; none if there is none, or nobody knows how such frames begin.
fn within(link: Linktype, frame: &[u8]) -> Option<&[u8]> {
    let of = |kind: Option<&[u8]>, rest: usize| {
        let ip = matches!(kind, Some([0x08, 0x00] | [0x86, 0xdd]));
        frame.get(rest..).filter(|_| ip)
    };
    match link {
        Linktype::ETHERNET => {
            // Two tags of virtual networks at most.
            let at = [12, 16, 20]
                .into_iter()
                .find(|at| !matches!(frame.get(*at..*at + 2), Some([0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00])))?;
            of(frame.get(at..at + 2), at + 2)
        }
        // 12 and 14 are raw IP as some systems number it.
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => Some(frame),
        Linktype::LINUX_SLL => of(frame.get(14..16), 16),
        Linktype(276) => of(frame.get(..2), 20),
        // A family of the system's, and then the packet.
        Linktype::NULL | Linktype(108) => frame.get(4..),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_in_frames_of_each_kind() {
        let packet = [0x45, 0, 0, 1];
        let with = |before: &[u8]| [before, &packet].concat();
        let mut cooked = [0; 16];
        cooked[14..].copy_from_slice(&[8, 0]);
        let mut cooked2 = [0; 20];
        cooked2[..2].copy_from_slice(&[8, 0]);
        let tagged = [&[0; 12][..], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0]].concat();
        for (link, frame) in [
            (Linktype::ETHERNET, with(&[&[0; 12][..], &[8, 0]].concat())),
            (Linktype::ETHERNET, with(&tagged)),
            (Linktype::RAW, with(&[])),
            (Linktype::LINUX_SLL, with(&cooked)),
            (Linktype(276), with(&cooked2)),
            (Linktype::NULL, with(&[2, 0, 0, 0])),
        ] {
            assert_eq!(within(link, &frame), Some(&packet[..]), "{link:?}");
            for length in 0..frame.len() {
                let _ = within(link, &frame[..length]);
            }
        }
        assert_eq!(within(Linktype::ETHERNET, &with(&[&[0; 12][..], &[8, 6]].concat())), None);
        assert_eq!(within(Linktype(147), &packet), None);
    }
}
