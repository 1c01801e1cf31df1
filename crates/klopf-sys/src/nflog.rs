//! What a firewall logs to userspace: NFLOG, by netlink (linux/netfilter/nfnetlink_log.h).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{error, fmt, io};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nflog::{ConfigCmd, ConfigMode, ConfigNla, Timeout, config_request};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterProtoFamily};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;

use crate::network::{force_receive_buffer, netlink_fd};

/// Bytes that wait to be read, at most.
const WAITING: u32 = 4 << 20;
/// Bytes of a message in the kernel; a packet with its attributes has a few hundred.
const MESSAGE: u32 = 4096;

/// A group of NFLOG: each packet that a rule logs to it is a message.
///
/// The group belongs to the socket until its last descriptor is closed, in whichever process. It can be read without any
/// right; asking netfilter for something else by it takes that right again.
#[derive(Debug)]
pub struct Nflog(OwnedFd);

/// Why a group cannot be had.
#[derive(Debug)]
pub enum NflogError {
    /// Another program has this group.
    Taken,
    /// It takes `CAP_NET_ADMIN` in the network's namespace.
    NoRight,
    /// The kernel has no NFLOG (module nfnetlink_log).
    NotInKernel,
    /// Something else.
    Io(io::Error),
}

impl fmt::Display for NflogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("another program reads this group of NFLOG"),
            Self::NoRight => f.write_str("reading a group of NFLOG takes CAP_NET_ADMIN"),
            Self::NotInKernel => f.write_str("the kernel has no NFLOG: it lacks the module nfnetlink_log"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl error::Error for NflogError {}

impl From<io::Error> for NflogError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What came in from a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logged {
    /// Messages of so many bytes in all, one after another, each in the form of netlink(7).
    Messages(usize),
    /// Nothing for now.
    Nothing,
    /// Some were lost, for they came faster than they were read; go on reading.
    Lost,
    /// There will be no more.
    Closed,
}

impl Nflog {
    /// Takes a group, so that each packet of it is told at once, its first `range` bytes from the network header on.
    ///
    /// # Errors
    /// See [`NflogError`].
    pub fn open(group: u16, range: u32) -> Result<Self, NflogError> {
        let mut socket = Socket::new(NETLINK_NETFILTER).map_err(|error| match error.raw_os_error() {
            Some(libc::EPROTONOSUPPORT) => NflogError::NotInKernel,
            _ => error.into(),
        })?;
        socket.bind_auto()?;
        // The answer is there when sending returns.
        socket.set_non_blocking(true)?;
        socket.set_cap_ack(true)?;
        // With less, some is lost, which is noticed.
        let _ = force_receive_buffer(netlink_fd(&socket), WAITING);
        let wishes = vec![
            ConfigCmd::Bind.into(),
            ConfigMode::new_packet(range).into(),
            ConfigNla::NlBufSiz(MESSAGE),
            // A hit is told when it comes, and does not wait for others.
            ConfigNla::QThresh(1),
            Timeout::new(1).into(),
        ];
        let request = config_request(NetfilterProtoFamily::Unspec, group, wishes);
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        socket.send(&bytes, 0)?;
        let (answer, _) = socket.recv_from_full()?;
        match refusal(&answer)?.map(|error| (error.raw_os_error(), error)) {
            None => Ok(Self(netlink_fd(&socket).try_clone_to_owned()?)),
            Some((Some(libc::EBUSY), _)) => Err(NflogError::Taken),
            // The kernel says the same of a group of somebody else and of who has no right.
            Some((Some(libc::EPERM), _)) if may_administer() => Err(NflogError::Taken),
            Some((Some(libc::EPERM), _)) => Err(NflogError::NoRight),
            // There is nobody for whom the message is.
            Some((Some(libc::EINVAL | libc::EOPNOTSUPP), _)) => Err(NflogError::NotInKernel),
            Some((_, error)) => Err(error.into()),
        }
    }

    /// Takes in what has come, as far as it is there; what does not fit into the buffer is cut, so it should have
    /// 4,096 bytes and `range` at least.
    pub fn read(&self, buffer: &mut [u8]) -> Logged {
        match rustix::io::read(&self.0, buffer) {
            Ok(0) => Logged::Closed,
            Ok(length) => Logged::Messages(length),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Logged::Nothing,
            Err(rustix::io::Errno::NOBUFS) => Logged::Lost,
            Err(_) => Logged::Closed,
        }
    }
}

/// What the kernel refused; none if it has done what was asked.
fn refusal(answer: &[u8]) -> io::Result<Option<io::Error>> {
    let message = <NetlinkMessage<NetfilterMessage>>::deserialize(answer).map_err(io::Error::other)?;
    match message.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Ok(Some(error.to_io())),
        NetlinkPayload::Error(_) => Ok(None),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn may_administer() -> bool {
    caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN).unwrap_or(false)
}

impl AsFd for Nflog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Nflog {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::{Wait, wait};

    /// Moves this thread, and no other, to a network of its own; false without the right.
    fn alone() -> bool {
        // SAFETY: of the flags only FILES would matter to descriptors of other threads.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.is_ok()
    }

    fn run(line: &str) -> bool {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).output().is_ok_and(|output| output.status.success())
    }

    #[test]
    fn a_group_has_one_reader() {
        if !alone() {
            assert!(matches!(Nflog::open(5, 128), Err(NflogError::NoRight | NflogError::NotInKernel)));
            return;
        }
        let first = match Nflog::open(5, 128) {
            Ok(first) => first,
            Err(NflogError::NotInKernel) => return eprintln!("skipped: {}", NflogError::NotInKernel),
            Err(error) => panic!("{error}"),
        };
        assert!(matches!(Nflog::open(5, 128), Err(NflogError::Taken)));
        let second = Nflog::open(6, 128).unwrap();
        assert_eq!([&first, &second].map(|group| group.read(&mut [0; 64])), [Logged::Nothing; 2]);
        let handed = Nflog::from(first.as_fd().try_clone_to_owned().unwrap());
        drop(first);
        assert!(matches!(Nflog::open(5, 128), Err(NflogError::Taken)), "it is held by the other descriptor");
        drop(handed);
        assert!(Nflog::open(5, 128).is_ok());
    }

    #[test]
    fn a_hit_comes_at_once_and_cut_to_the_range() {
        let rules = "add table inet t; add chain inet t c { type filter hook input priority 0; }; \
                     add rule inet t c udp dport 7000 log group 5 prefix \"KNOCK \"";
        let ready = alone()
            && run("ip link set lo up")
            && Command::new("nft").arg(rules).status().is_ok_and(|status| status.success());
        let Some(group) = ready.then(|| Nflog::open(5, 28).ok()).flatten() else {
            return eprintln!("skipped: it takes root, iproute2, nftables and NFLOG");
        };
        let socket = UdpSocket::bind("127.0.0.1:7001").unwrap();
        socket.send_to(b"secret", "127.0.0.1:7000").unwrap();
        let fds = [Wait { fd: group.as_fd(), write: false }];
        assert_eq!(wait(fds, Some(Duration::from_secs(10))).unwrap(), [true]);
        let mut buffer = [0; 8192];
        let Logged::Messages(length) = group.read(&mut buffer) else { panic!("nothing came") };
        let has = |part: &[u8]| buffer[..length].windows(part.len()).any(|window| window == part);
        assert!(has(b"KNOCK ") && has(&[127, 0, 0, 1, 127, 0, 0, 1, 0x1b, 0x59, 0x1b, 0x58]));
        assert!(!has(b"secret"));
        for _ in 0..100_000 {
            let _ = socket.send_to(b"flood", "127.0.0.1:7000");
        }
        let all: Vec<_> = std::iter::repeat_with(|| group.read(&mut buffer))
            .take_while(|logged| *logged != Logged::Nothing)
            .collect();
        assert!(all.contains(&Logged::Lost) && matches!(all.last(), Some(Logged::Messages(_))), "{}", all.len());
    }
}
