//! End-to-end tests: the built programs between two hosts made of network namespaces.
//!
//! A test binary lists [`Case`]s and hands them to [`run`]. A case says what it needs, gets a [`Stage`] (two hosts, a
//! scratch directory) and plays on it. Nothing outside the stage is touched, and the stage is taken down in any case.
//!
//! Environment: `KLOPF_BIN_DIR` has the programs under test (default: where this profile is built), `KLOPF_NO_SKIP=1`
//! makes an unmet need a failure, `KLOPF_MAY_SKIP=vlan,...` excuses single needs from that, `KLOPF_KEEP=1` leaves the
//! scratch directories. A test binary with `--skipped` prints what it would skip and why.
//!
//! This crate must not know how the programs work inside: only their options, files, logs and what they do.
#![forbid(unsafe_code)]

mod authority;
mod capture;
mod clock;
mod config;
mod daemon;
mod device;
mod disk;
mod dovecot;
mod elsewhere;
mod freezer;
mod guestbook;
mod host;
mod hostile;
mod isso;
mod letter;
mod lmtp;
mod need;
mod nginx;
pub mod packet;
mod peer;
mod person;
mod postfix;
mod program;
mod rsyslog;
mod running;
pub mod scene;
mod ssh;
mod stage;
mod systemd;
mod trial;
mod wait;
mod wire;

pub use authority::Authority;
pub use capture::Capture;
pub use clock::Clock;
pub use config::{configure_klopfd, set_klopfd};
pub use daemon::{Daemon, Door};
pub use device::{Device, said, succeeded};
pub use disk::Disk;
pub use dovecot::{Dovecot, Kept, mails_of};
pub use elsewhere::Elsewhere;
pub use freezer::Freezer;
pub use guestbook::Guestbook;
pub use host::Host;
pub use hostile::Hostile;
pub use isso::Isso;
pub use letter::{SHAPES, mail, wrapped, written};
pub use lmtp::deliver_by_lmtp;
pub use need::Need;
pub use nginx::{Nginx, Visit};
pub use peer::{Answer, Peer, Probes, Service, Stream, serve};
pub use person::{Person, Receiver, now_ms};
pub use postfix::Postfix;
pub use program::{built, built_in, found, player};
pub use rsyslog::{KernelLog, Rsyslog};
pub use running::{Running, gone, process_field, send};
pub use rustix::process::Signal;
pub use ssh::Sshd;
pub use stage::{CLIENT4, CLIENT6, SERVER4, SERVER6, Stage, THIRD4, THIRD6};
pub use systemd::Systemd;
pub use trial::{Case, run};
pub use wait::{PATIENCE, until, until_some};
pub use wire::Wire;

/// What goes wrong in a test is only ever shown.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Ends the test with a message unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
