//! The packet socket's kernel filter: a classic BPF program that lets through only what a door can care about.
//!
//! It runs on packets that begin at their network header (a cooked socket). Everything about a packet that this
//! program cannot or need not know exactly is left to the parser behind it: it may let too much through, never too
//! little.

use klopf_wire::{FlagMask, PortSet, Proto};

/// What to let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The ports.
    pub ports: PortSet,
    /// What TCP flags any door asks for.
    pub flags: FlagMask,
    /// On which interfaces, by index; none: on all.
    pub interfaces: Option<Vec<u32>>,
}

/// One instruction: code, jump if true, jump if false, operand (`struct sock_filter` of linux/filter.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op(pub(crate) u16, pub(crate) u8, pub(crate) u8, pub(crate) u32);

// Codes of linux/bpf_common.h.
pub(crate) const LD_BYTE: u16 = 0x30;
pub(crate) const LD_HALF: u16 = 0x28;
pub(crate) const LD_WORD: u16 = 0x20;
pub(crate) const LD_BYTE_X: u16 = 0x50;
pub(crate) const LD_HALF_X: u16 = 0x48;
pub(crate) const LDX_IMMEDIATE: u16 = 0x01;
pub(crate) const LDX_HEADER: u16 = 0xb1;
pub(crate) const AND: u16 = 0x54;
pub(crate) const JUMP: u16 = 0x05;
pub(crate) const JUMP_EQUAL: u16 = 0x15;
pub(crate) const JUMP_AT_LEAST: u16 = 0x35;
pub(crate) const JUMP_ANY_BIT: u16 = 0x45;
pub(crate) const RETURN: u16 = 0x06;

// Facts about a packet that are not in its bytes (SKF_AD_* of linux/filter.h).
const ANCILLARY: u32 = 0xffff_f000;
pub(crate) const PROTOCOL: u32 = ANCILLARY;
pub(crate) const INTERFACE: u32 = ANCILLARY + 8;
pub(crate) const VLAN_TAG: u32 = ANCILLARY + 44;
pub(crate) const VLAN_PRESENT: u32 = ANCILLARY + 48;

const ETHERTYPE_IPV4: u32 = 0x0800;
const ETHERTYPE_IPV6: u32 = 0x86dd;
const TCP: u32 = 6;
const UDP: u32 = 17;
/// Extension headers (RFC 8200, RFC 4302, RFC 6275, RFC 7401, RFC 5533): hop-by-hop, routing, fragment,
/// authentication, destination options, mobility, host identity, shim6.
const EXTENSIONS: [u32; 8] = [0, 43, 44, 51, 60, 135, 139, 140];

/// The kernel takes 4,096 instructions; a boundary needs three, and there are two protocols.
const MOST_BOUNDARIES: usize = 512;
/// Interfaces that are told apart here; with more, the packets of all are let through.
const MOST_INTERFACES: usize = 64;

/// A program that rejects everything.
pub(crate) fn nothing() -> Vec<Op> {
    vec![Op(RETURN, 0, 0, 0)]
}

/// The program for an interest, which keeps so many bytes of a packet.
pub(crate) fn program(interest: &Interest, snap: u32) -> Vec<Op> {
    let mut asm = Assembler::default();
    let [accept, reject, untagged, ours, ipv4, ipv6, tcp, udp] = std::array::from_fn(|_| asm.label());

    // A tagged frame belongs to the VLAN's own interface, where it is seen again without its tag; the tag with
    // number 0 is only a priority.
    asm.op(LD_WORD, VLAN_PRESENT);
    let tagged = asm.label();
    asm.test(JUMP_EQUAL, 0, untagged, tagged);
    asm.place(tagged);
    asm.op(LD_WORD, VLAN_TAG);
    asm.op(AND, 0xfff);
    asm.test(JUMP_EQUAL, 0, untagged, reject);

    asm.place(untagged);
    match interest.interfaces.as_deref().filter(|only| only.len() <= MOST_INTERFACES) {
        Some(only) => {
            asm.op(LD_WORD, INTERFACE);
            asm.any_of(only, ours, reject);
        }
        None => asm.jump(ours),
    }

    asm.place(ours);
    asm.op(LD_WORD, PROTOCOL);
    let not_ipv4 = asm.label();
    asm.test(JUMP_EQUAL, ETHERTYPE_IPV4, ipv4, not_ipv4);
    asm.place(not_ipv4);
    asm.test(JUMP_EQUAL, ETHERTYPE_IPV6, ipv6, reject);

    // Only first fragments have ports. X becomes the length of the network header.
    asm.place(ipv4);
    let [whole, not_tcp, not_udp, tcp4, udp4, tcp6, udp6, not_tcp6] = std::array::from_fn(|_| asm.label());
    asm.op(LD_HALF, 6);
    asm.test(JUMP_ANY_BIT, 0x1fff, reject, whole);
    asm.place(whole);
    asm.op(LDX_HEADER, 0);
    asm.op(LD_BYTE, 9);
    asm.test(JUMP_EQUAL, TCP, tcp4, not_tcp);
    asm.place(not_tcp);
    asm.test(JUMP_EQUAL, UDP, udp4, reject);

    asm.place(ipv6);
    asm.op(LDX_IMMEDIATE, 40);
    asm.op(LD_BYTE, 6);
    asm.test(JUMP_EQUAL, TCP, tcp6, not_tcp6);
    asm.place(not_tcp6);
    asm.test(JUMP_EQUAL, UDP, udp6, not_udp);
    asm.place(not_udp);
    asm.any_of(&EXTENSIONS, accept, reject);

    for (label, common) in [(tcp4, tcp), (tcp6, tcp), (udp4, udp), (udp6, udp)] {
        asm.place(label);
        asm.jump(common);
    }

    asm.place(tcp);
    let [no_clear, fits] = std::array::from_fn(|_| asm.label());
    asm.op(LD_BYTE_X, 13);
    asm.test(JUMP_ANY_BIT, u32::from(interest.flags.clear), reject, no_clear);
    asm.place(no_clear);
    asm.op(AND, u32::from(interest.flags.set));
    asm.test(JUMP_EQUAL, u32::from(interest.flags.set), fits, reject);
    asm.place(fits);
    asm.op(LD_HALF_X, 2);
    asm.member(&boundaries(&interest.ports, Proto::Tcp), accept, reject);

    asm.place(udp);
    asm.op(LD_HALF_X, 2);
    asm.member(&boundaries(&interest.ports, Proto::Udp), accept, reject);

    asm.place(accept);
    asm.op(RETURN, snap);
    asm.place(reject);
    asm.op(RETURN, 0);
    asm.assemble()
}

/// Where membership changes: the ports from the 1st to before the 2nd boundary are in, from the 2nd to before the
/// 3rd out, and so on. Where there are too many, the smallest gaps are filled.
fn boundaries(ports: &PortSet, proto: Proto) -> Vec<u32> {
    let mut ranges: Vec<(u32, u32)> =
        ports.ranges(proto).iter().map(|&(first, last)| (u32::from(first), u32::from(last) + 1)).collect();
    let mut gaps: Vec<u32> = ranges.windows(2).filter_map(|pair| Some(pair.get(1)?.0 - pair.first()?.1)).collect();
    gaps.sort_unstable();
    let surplus = ranges.len().saturating_sub(MOST_BOUNDARIES / 2);
    if let Some(&fill) = surplus.checked_sub(1).and_then(|last| gaps.get(last)) {
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, end) in ranges {
            match merged.last_mut() {
                Some(before) if first - before.1 <= fill => before.1 = end,
                _ => merged.push((first, end)),
            }
        }
        ranges = merged;
    }
    ranges.into_iter().flat_map(|(first, end)| [first, end]).collect()
}

/// A place in the program, perhaps further on.
#[derive(Clone, Copy)]
struct Label(usize);

enum Line {
    Op(Op),
    Jump(Label),
    /// A test, then a jump for its yes and one for its no.
    Test(u16, u32, Label, Label),
}

/// Puts a program together; all jumps go forward, as the kernel wants it.
#[derive(Default)]
struct Assembler {
    lines: Vec<Line>,
    /// Which line each label stands before.
    labels: Vec<usize>,
}

impl Assembler {
    fn label(&mut self) -> Label {
        self.labels.push(usize::MAX);
        Label(self.labels.len() - 1)
    }

    fn place(&mut self, label: Label) {
        if let Some(line) = self.labels.get_mut(label.0) {
            *line = self.lines.len();
        }
    }

    fn op(&mut self, code: u16, operand: u32) {
        self.lines.push(Line::Op(Op(code, 0, 0, operand)));
    }

    fn jump(&mut self, to: Label) {
        self.lines.push(Line::Jump(to));
    }

    fn test(&mut self, code: u16, operand: u32, yes: Label, no: Label) {
        self.lines.push(Line::Test(code, operand, yes, no));
    }

    fn any_of(&mut self, values: &[u32], yes: Label, no: Label) {
        for &value in values {
            let next = self.label();
            self.test(JUMP_EQUAL, value, yes, next);
            self.place(next);
        }
        self.jump(no);
    }

    /// Whether A lies between an odd and an even boundary, counted from 1: a binary search.
    fn member(&mut self, boundaries: &[u32], yes: Label, no: Label) {
        let Some((&middle, upper)) = boundaries.get(boundaries.len() / 2..).and_then(<[u32]>::split_first) else {
            return self.jump(no);
        };
        let lower = boundaries.get(..boundaries.len() / 2).unwrap_or_default();
        let (below, from) = (self.label(), self.label());
        // Below the lowest boundary is out. After an odd number of boundaries the meaning is the other way round.
        self.test(JUMP_AT_LEAST, middle, from, below);
        self.place(below);
        self.member(lower, yes, no);
        self.place(from);
        if lower.len() % 2 == 0 { self.member(upper, no, yes) } else { self.member(upper, yes, no) }
    }

    fn assemble(&self) -> Vec<Op> {
        let size = |line: &Line| if matches!(line, Line::Test(..)) { 3 } else { 1 };
        let mut starts = vec![0usize];
        for line in &self.lines {
            starts.push(starts.last().unwrap_or(&0) + size(line));
        }
        let distance = |label: Label, from: usize| {
            let line = self.labels.get(label.0).copied().unwrap_or(usize::MAX);
            let target = starts.get(line).copied().unwrap_or(from + 1);
            u32::try_from(target.saturating_sub(from + 1)).unwrap_or(0)
        };
        let mut program = Vec::new();
        for (line, &at) in self.lines.iter().zip(&starts) {
            match *line {
                Line::Op(op) => program.push(op),
                Line::Jump(to) => program.push(Op(JUMP, 0, 0, distance(to, at))),
                Line::Test(code, operand, yes, no) => program.extend([
                    Op(code, 0, 1, operand),
                    Op(JUMP, 0, 0, distance(yes, at + 1)),
                    Op(JUMP, 0, 0, distance(no, at + 2)),
                ]),
            }
        }
        program
    }
}

#[cfg(test)]
mod tests {
    use klopf_wire::{Port, TcpFlags};
    use proptest::prelude::*;

    use super::*;

    const SNAP: u32 = 160;

    /// A packet with what the kernel knows about it.
    #[derive(Clone)]
    struct Packet {
        ethertype: u32,
        interface: u32,
        vlan: Option<u32>,
        bytes: Vec<u8>,
    }

    /// The kernel's interpreter, as far as the programs here need it.
    fn run(program: &[Op], packet: &Packet) -> u32 {
        let byte = |at: u32| packet.bytes.get(at as usize).map(|&b| u32::from(b));
        let half = |at: u32| Some(byte(at)? << 8 | byte(at + 1)?);
        let (mut a, mut x, mut pc) = (0u32, 0u32, 0usize);
        loop {
            let Op(code, jt, jf, k) = program[pc];
            pc += 1;
            let loaded = match (code, k) {
                (LD_WORD, PROTOCOL) => Some(packet.ethertype),
                (LD_WORD, INTERFACE) => Some(packet.interface),
                (LD_WORD, VLAN_PRESENT) => Some(u32::from(packet.vlan.is_some())),
                (LD_WORD, VLAN_TAG) => Some(packet.vlan.unwrap_or(0)),
                (LD_BYTE, _) => byte(k),
                (LD_HALF, _) => half(k),
                (LD_BYTE_X, _) => byte(x + k),
                (LD_HALF_X, _) => half(x + k),
                (AND, _) => Some(a & k),
                (LDX_IMMEDIATE, _) => {
                    x = k;
                    Some(a)
                }
                (LDX_HEADER, _) => {
                    x = (byte(k).unwrap() & 0xf) * 4;
                    Some(a)
                }
                (JUMP, _) => {
                    pc += k as usize;
                    Some(a)
                }
                (JUMP_EQUAL, _) => {
                    pc += usize::from(if a == k { jt } else { jf });
                    Some(a)
                }
                (JUMP_AT_LEAST, _) => {
                    pc += usize::from(if a >= k { jt } else { jf });
                    Some(a)
                }
                (JUMP_ANY_BIT, _) => {
                    pc += usize::from(if a & k != 0 { jt } else { jf });
                    Some(a)
                }
                (RETURN, _) => return k,
                other => panic!("instruction {other:x?}"),
            };
            match loaded {
                Some(value) => a = value,
                None => return 0, // a load behind the end ends the program
            }
        }
    }

    fn ipv4(protocol: u8, port: u16, flags: u8) -> Packet {
        let mut bytes = vec![0x46, 0, 0, 44, 0, 1, 0, 0, 64, protocol, 0, 0];
        bytes.extend([192, 0, 2, 7, 192, 0, 2, 1, 1, 1, 1, 0]);
        bytes.extend([0x9c, 0x40]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 4, 0, 0, 0, 0, 0]);
        Packet { ethertype: ETHERTYPE_IPV4, interface: 2, vlan: None, bytes }
    }

    fn ipv6(next: u8, port: u16) -> Packet {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 20, next, 64];
        bytes.extend([0x20; 32]);
        bytes.extend([0x9c, 0x40]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 4, 0, 0, 0, 0, 0]);
        Packet { ethertype: ETHERTYPE_IPV6, interface: 2, vlan: None, bytes }
    }

    fn interest(ports: &[Port]) -> Interest {
        let mut set = PortSet::default();
        ports.iter().for_each(|&port| set.insert(port));
        Interest { ports: set, flags: FlagMask::OPENING, interfaces: None }
    }

    #[test]
    fn only_what_a_door_cares_about_comes_through() {
        let program = program(&interest(&[Port::tcp(7000), Port::udp(8000)]), SNAP);
        let passes = |packet: &Packet| run(&program, packet) == SNAP;
        assert!(passes(&ipv4(6, 7000, 2)) && passes(&ipv4(17, 8000, 0)) && passes(&ipv6(6, 7000)));
        assert!(passes(&ipv6(60, 1)), "extension headers are left to the parser");
        assert!(!passes(&ipv4(6, 8000, 2)) && !passes(&ipv4(17, 7000, 2)) && !passes(&ipv4(1, 7000, 2)));
        assert!(!passes(&ipv4(6, 7000, 0x12)) && !passes(&ipv4(6, 7000, 0x10)));
        assert!(!passes(&ipv6(58, 7000)) && !passes(&ipv6(17, 7000)));
        let mut fragment = ipv4(6, 7000, 2);
        fragment.bytes[7] = 1;
        assert!(!passes(&fragment));
        fragment.bytes[6..8].copy_from_slice(&[0x20, 0]);
        assert!(passes(&fragment), "the first fragment");
        let arp = Packet { ethertype: 0x0806, ..ipv4(6, 7000, 2) };
        let cut = Packet { bytes: vec![0x45; 10], ..arp.clone() };
        assert!(!passes(&arp) && !passes(&cut));
    }

    #[test]
    fn a_vlan_tag_keeps_a_packet_out_and_a_priority_does_not() {
        let program = program(&interest(&[Port::tcp(7000)]), SNAP);
        let tagged = |vlan| run(&program, &Packet { vlan: Some(vlan), ..ipv4(6, 7000, 2) });
        assert_eq!((tagged(5), tagged(0x6005), tagged(0), tagged(0x6000)), (0, 0, SNAP, SNAP));
    }

    #[test]
    fn interfaces_are_told_apart() {
        let on =
            |interfaces| run(&program(&Interest { interfaces, ..interest(&[Port::tcp(7)]) }, SNAP), &ipv4(6, 7, 2));
        assert_eq!(on(Some(vec![1, 2, 3])), SNAP);
        assert_eq!((on(Some(vec![1, 3])), on(Some(vec![]))), (0, 0));
        assert_eq!(on(Some((100..200).collect())), SNAP, "too many to look at");
    }

    #[test]
    fn too_many_ports_are_covered_by_fewer_ranges_within_the_limit_of_the_kernel() {
        let ports: Vec<Port> = (0..20_000).step_by(3).flat_map(|n| [Port::tcp(n), Port::udp(n)]).collect();
        let program = program(&interest(&ports), SNAP);
        assert!(program.len() <= 4096, "{}", program.len());
        assert!(ports.iter().step_by(97).all(|port| run(&program, &ipv4(6, port.number, 2)) == SNAP));
        assert_eq!(run(&program, &ipv4(6, 60_000, 2)), 0);
    }

    proptest! {
        #[test]
        fn exactly_the_ports_of_the_set_pass(
            numbers in prop::collection::btree_set(0u16.., 0..60), dense in 0u16..500, probe: u16
        ) {
            let all: Vec<u16> = numbers.iter().copied().chain(1000..1000 + dense).collect();
            let ports: Vec<Port> = all.iter().map(|&number| Port::tcp(number)).collect();
            let program = program(&interest(&ports), SNAP);
            for number in all.iter().copied().flat_map(|n| [n, n.wrapping_add(1), n.wrapping_sub(1), probe]) {
                let passes = run(&program, &ipv4(6, number, TcpFlags::SYN.0)) == SNAP;
                prop_assert_eq!(passes, all.contains(&number), "{}", number);
            }
        }
    }
}
