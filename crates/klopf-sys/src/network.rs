//! The host's interfaces, their addresses, and the ports at which something serves.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use klopf_wire::{Port, PortSet, Proto};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{SockDiagDestroy, SockDiagMessage};
use netlink_sys::protocols::{NETLINK_ROUTE, NETLINK_SOCK_DIAG};
use netlink_sys::{Socket, SocketAddr};

use crate::ring::check;

/// An interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// Whether it is a port of a bridge, bond or team: then its packets are seen once more on that.
    pub port_of_another: bool,
    /// Its addresses of both families.
    pub addresses: Vec<IpAddr>,
}

/// Tells when interfaces or addresses change.
pub struct Changes(Socket);

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// How many connections a list holds at most.
const MOST_CONNECTIONS: usize = 1 << 16;

impl Changes {
    /// Begins to listen for changes.
    ///
    /// # Errors
    /// As socket(2) and bind(2).
    pub fn watch() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        socket.set_non_blocking(true)?;
        Ok(Self(socket))
    }

    /// Takes in what was told; whether anything may have changed. What it was is read anew with [`interfaces`], so
    /// that a message lost in a burst does no harm.
    #[must_use]
    pub fn any(&self) -> bool {
        let mut any = false;
        loop {
            match self.0.recv_from_full() {
                Ok(_) => any = true,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => any = true,
                Err(_) => return any,
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        netlink_fd(&self.0)
    }
}

/// The descriptor of a netlink socket.
#[must_use]
pub fn netlink_fd(socket: &Socket) -> BorrowedFd<'_> {
    // SAFETY: the socket is open as long as it is borrowed.
    unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
}

/// Lets a socket send so many bytes at once, beyond the system's limit. Takes `CAP_NET_ADMIN`.
///
/// # Errors
/// As setsockopt(2).
pub fn force_send_buffer(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set_number(socket, libc::SO_SNDBUFFORCE, bytes)
}

/// Lets so many bytes wait at a socket to be read, beyond the system's limit. Takes `CAP_NET_ADMIN`.
///
/// # Errors
/// As setsockopt(2).
pub fn force_receive_buffer(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set_number(socket, libc::SO_RCVBUFFORCE, bytes)
}

fn set_number(socket: BorrowedFd<'_>, option: libc::c_int, value: u32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<u32>()).unwrap_or(0);
    let value = &raw const value;
    // SAFETY: the option is a number of four bytes, which lives through the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value.cast(), length) })?;
    Ok(())
}

/// All interfaces, by number.
///
/// # Errors
/// As getifaddrs(3).
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::DGRAM);
    let socket = rustix::net::socket_with(family, kind, rustix::net::SocketFlags::CLOEXEC, None)?;
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the call stores a list in `list`, which is freed below.
    check(unsafe { libc::getifaddrs(&raw mut list) })?;
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    let mut next = list;
    // SAFETY: `next` is null or a node of the list, which is not freed before the loop has ended.
    while let Some(node) = unsafe { next.as_ref() } {
        next = node.ifa_next;
        // SAFETY: getifaddrs(3) sets the name to a C string that lives as long as the list.
        let c_name = unsafe { CStr::from_ptr(node.ifa_name) };
        // An address may come with a label, such as eth0:1, in place of its interface's name.
        let Some(name) = c_name.to_str().ok().and_then(|name| name.split(':').next()) else { continue };
        let flags = libc::c_int::try_from(node.ifa_flags).unwrap_or(0);
        let interface = found.entry(name.to_owned()).or_insert_with(|| Interface {
            // The list itself has no number for interfaces without link-level addresses (tun).
            index: rustix::net::netdevice::name_to_index(&socket, name).unwrap_or(0),
            name: name.to_owned(),
            up: flags & libc::IFF_UP != 0,
            loopback: flags & libc::IFF_LOOPBACK != 0,
            port_of_another: is_port(name),
            addresses: Vec::new(),
        });
        // SAFETY: an address is null or a sockaddr of the kind its family says, which lives as long as the list.
        unsafe {
            match node.ifa_addr.as_ref().map(|address| libc::c_int::from(address.sa_family)) {
                Some(libc::AF_INET) => {
                    let address = &*node.ifa_addr.cast::<libc::sockaddr_in>();
                    interface.addresses.push(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into());
                }
                Some(libc::AF_INET6) => {
                    let address = &*node.ifa_addr.cast::<libc::sockaddr_in6>();
                    interface.addresses.push(Ipv6Addr::from(address.sin6_addr.s6_addr).into());
                }
                _ => {}
            }
        }
    }
    // SAFETY: the list that getifaddrs() made; nothing borrowed from it is left.
    unsafe { libc::freeifaddrs(list) };
    let mut all: Vec<Interface> = found.into_values().filter(|interface| interface.index != 0).collect();
    all.sort_by_key(|interface| interface.index);
    Ok(all)
}

/// Whether an interface has a master that is not a VRF.
fn is_port(name: &str) -> bool {
    let master = format!("/sys/class/net/{name}/master");
    let kind = std::fs::read_to_string(format!("{master}/uevent"));
    kind.is_ok_and(|kind| !kind.lines().any(|line| line == "DEVTYPE=vrf"))
}

/// The names of interfaces that stand for a VRF.
#[must_use]
pub fn vrfs() -> Vec<String> {
    let all = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let is_vrf = |name: &String| {
        let kind = std::fs::read_to_string(format!("/sys/class/net/{name}/uevent")).unwrap_or_default();
        kind.lines().any(|line| line == "DEVTYPE=vrf")
    };
    all.filter_map(|entry| entry.file_name().into_string().ok()).filter(is_vrf).collect()
}

/// The ports at which a socket of this host waits: listening for TCP, bound for UDP.
///
/// # Errors
/// The kernel has no socket diagnosis (`ENOENT`), or as socket(2).
pub fn services() -> io::Result<PortSet> {
    let mut ports = PortSet::default();
    for family in [AF_INET, AF_INET6] {
        let mut add = |proto, socket: &SocketId| ports.insert(Port { proto, number: socket.source_port });
        dump(family, IPPROTO_TCP, StateFlags::LISTEN, |socket| add(Proto::Tcp, socket))?;
        dump(family, IPPROTO_UDP, StateFlags::all(), |socket| add(Proto::Udp, socket))?;
    }
    Ok(ports)
}

/// Where sockets of this host wait, as [`services`], each with its address; `::` and `0.0.0.0` are all of them.
///
/// # Errors
/// As [`services`].
pub fn listeners() -> io::Result<Vec<(Port, IpAddr)>> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let mut add = |proto, socket: &SocketId| {
            if socket.destination_port == 0 {
                found.push((Port { proto, number: socket.source_port }, socket.source_address.to_canonical()));
            }
        };
        dump(family, IPPROTO_TCP, StateFlags::LISTEN, |socket| add(Proto::Tcp, socket))?;
        dump(family, IPPROTO_UDP, StateFlags::all(), |socket| add(Proto::Udp, socket))?;
    }
    Ok(found)
}

/// The TCP connections of this host's own sockets that are up, with a local port in one of the ranges (first and last):
/// the local end and the other one. At most 65,536; the rest is left out.
///
/// # Errors
/// As [`services`].
pub fn established_tcp(ports: &[(u16, u16)]) -> io::Result<Vec<(net::SocketAddr, net::SocketAddr)>> {
    let wanted = |port| ports.iter().any(|&(first, last)| (first..=last).contains(&port));
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        dump(family, IPPROTO_TCP, StateFlags::ESTABLISHED, |socket| {
            if wanted(socket.source_port) && found.len() < MOST_CONNECTIONS {
                found.push(ends(socket));
            }
        })?;
    }
    Ok(found)
}

/// Ends TCP connections of this host's own sockets with a reset to both ends: those that are wanted, by their local end
/// and the other one. How many there were.
///
/// # Errors
/// The kernel cannot (`EOPNOTSUPP`, no CONFIG_INET_DIAG_DESTROY), no right (`EPERM`, CAP_NET_ADMIN), or as [`services`].
pub fn end_tcp(wanted: impl Fn(net::SocketAddr, net::SocketAddr) -> bool) -> io::Result<usize> {
    let mut ended = 0;
    for family in [AF_INET, AF_INET6] {
        let mut found = Vec::new();
        dump(family, IPPROTO_TCP, StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT, |socket| {
            let (local, peer) = ends(socket);
            if wanted(local, peer) {
                found.push(socket.clone());
            }
        })?;
        // The cookie in it keeps the kernel from taking another socket, even a listening one, for one that is gone.
        for socket in found {
            let request = SockDiagDestroy::new(request(family, IPPROTO_TCP, StateFlags::all(), socket));
            match ask(request, NLM_F_ACK, |_| {}) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESTALE)) => {}
                answer => {
                    answer?;
                    ended += 1;
                }
            }
        }
    }
    Ok(ended)
}

fn ends(socket: &SocketId) -> (net::SocketAddr, net::SocketAddr) {
    let end = |address: IpAddr, port| net::SocketAddr::new(address.to_canonical(), port);
    (end(socket.source_address, socket.source_port), end(socket.destination_address, socket.destination_port))
}

fn dump(family: u8, protocol: u8, states: StateFlags, take: impl FnMut(&SocketId)) -> io::Result<()> {
    let any = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    ask(request(family, protocol, states, any), NLM_F_DUMP, take)
}

fn request(family: u8, protocol: u8, states: StateFlags, socket_id: SocketId) -> SockDiagMessage {
    let extensions = ExtensionFlags::empty();
    SockDiagMessage::InetRequest(InetRequest { family, protocol, extensions, states, socket_id })
}

/// Asks the kernel, and shows the sockets it tells of.
fn ask<M>(request: M, flags: u16, mut take: impl FnMut(&SocketId)) -> io::Result<()>
where
    M: NetlinkSerializable + Into<NetlinkPayload<M>>,
{
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    take(&response.header.socket_id);
                }
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return Ok(()),
                _ => {}
            }
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
            rest = rest.get(length.max(16)..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn loopback_is_among_the_interfaces() {
        let all = interfaces().unwrap();
        let loopback = all.iter().find(|interface| interface.loopback).unwrap();
        assert_eq!((loopback.name.as_str(), loopback.port_of_another), ("lo", false));
    }

    #[test]
    fn listening_sockets_are_services() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = services().unwrap();
        assert!(found.contains(Port::tcp(tcp.local_addr().unwrap().port())));
        assert!(found.contains(Port::udp(udp.local_addr().unwrap().port())));
        let found = listeners().unwrap();
        let local = IpAddr::from([127, 0, 0, 1]);
        assert!(found.contains(&(Port::tcp(tcp.local_addr().unwrap().port()), local)));
        assert!(found.contains(&(Port::udp(udp.local_addr().unwrap().port()), local)));
    }

    #[test]
    fn connections_that_are_up_are_found_by_their_local_port() {
        for (bound, reached) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")] {
            let Ok(listener) = TcpListener::bind((bound, 0)) else { continue }; // a host without IPv6
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((reached, port)).unwrap();
            let _server = listener.accept().unwrap();
            let ends = (client.peer_addr().unwrap(), client.local_addr().unwrap());
            assert_eq!(established_tcp(&[(port, port)]).unwrap(), [ends]);
            let others = established_tcp(&[(1, port - 1), (port + 1, u16::MAX)]).unwrap();
            assert!(!others.contains(&ends) && others.contains(&(ends.1, ends.0)), "the client's end is one, too");
        }
    }

    #[test]
    fn connections_are_ended_and_their_listener_stays() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut clients = [(); 2].map(|()| TcpStream::connect(("127.0.0.1", port)).unwrap());
        let _servers = [(); 2].map(|()| listener.accept().unwrap());
        let first = clients[0].local_addr().unwrap();
        match end_tcp(|local, peer| (local.port(), peer) == (port, first)) {
            Ok(ended) => assert_eq!(ended, 1),
            // Without the right, or on a kernel that cannot.
            Err(error) => return eprintln!("skipped: {error}"),
        }
        clients[0].set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let reset = clients[0].read(&mut [0]).unwrap_err();
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        let left = (clients[1].peer_addr().unwrap(), clients[1].local_addr().unwrap());
        assert_eq!(established_tcp(&[(port, port)]).unwrap(), [left]);
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
}
