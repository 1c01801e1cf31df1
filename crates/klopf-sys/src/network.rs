//! The host's interfaces, their addresses, and the ports at which something serves.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use klopf_wire::{Port, PortSet, Proto};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
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
        // SAFETY: the socket is open as long as self, and so as the borrow.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
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

/// The ports at which a socket of this host waits: listening for TCP, bound for UDP.
///
/// # Errors
/// The kernel has no socket diagnosis (`ENOENT`), or as socket(2).
pub fn services() -> io::Result<PortSet> {
    let mut ports = PortSet::default();
    for family in [AF_INET, AF_INET6] {
        dump(family, IPPROTO_TCP, StateFlags::LISTEN, Proto::Tcp, &mut ports)?;
        dump(family, IPPROTO_UDP, StateFlags::all(), Proto::Udp, &mut ports)?;
    }
    Ok(ports)
}

fn dump(family: u8, protocol: u8, states: StateFlags, proto: Proto, ports: &mut PortSet) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    let socket_id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    let request = InetRequest { family, protocol, extensions: ExtensionFlags::empty(), states, socket_id };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
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
                    ports.insert(Port { proto, number: response.header.socket_id.source_port });
                }
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::Done(_) => return Ok(()),
                _ => {}
            }
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
            rest = rest.get(length.max(16)..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

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
    }
}
