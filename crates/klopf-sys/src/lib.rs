//! Linux: packet ring, netlink, sandbox, clocks, processes.
//!
//! The only crate with unsafe code; each block says why it is sound. It knows the kernel and nothing of doors or
//! protocols.
#![cfg(target_os = "linux")]

pub mod clock;
mod filter;
mod inotify;
mod memory;
mod names;
mod network;
mod nflog;
mod output;
mod pair;
mod process;
mod ring;
mod sandbox;
mod signals;
pub mod syslog;

pub use filter::Interest;
pub use inotify::{Event, Inotify, WatchId};
pub use memory::Code;
pub use names::name_of;
pub use network::{
    Changes, Interface, end_tcp, established_tcp, force_receive_buffer, force_send_buffer, interfaces, listeners,
    netlink_fd, services, vrfs,
};
pub use nflog::{Logged, Nflog, NflogError};
pub use output::{Output, Outputs, PassOn, lock};
pub use pair::{Pair, Received, Wait, wait, wait_any};
pub use process::{
    Background, Ended, Environment, Reaped, close_stderr, inherited, keep_descriptors, kill, reap, set_name,
    start_command, start_helper, start_program, to_background,
};
pub use ring::{Depth, Frame, PacketSocket, Ring};
pub use sandbox::{
    Confined, SandboxError, User, confine, confine_courier, drop_privileges, keep_secrets, landlock_version,
};
pub use signals::{Signal, Signals};
