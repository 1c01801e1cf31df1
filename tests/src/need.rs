//! What a trial needs of the machine, and how to get it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::freezer::groups;
use crate::program::{built_in, found};
use crate::rsyslog::KernelLog;

/// Something a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Control groups that can be made.
    Cgroups,
    /// isso, a comment server, where `scripts/isso.sh` installs it.
    Isso,
    /// A kernel that logs what firewalls of other namespaces tell it to, and lets its log be read.
    KernelLog,
    /// Root, with the right to make network namespaces.
    Root,
    /// A program, and the Debian package it is in.
    Program(&'static str, &'static str),
    /// `/dev/net/tun`.
    Tun,
    /// VLAN interfaces in the kernel.
    Vlan,
}

impl Need {
    /// Why the need is not met, with what to do about it; nothing if it is met.
    #[must_use]
    pub fn unmet(self) -> Option<String> {
        match self {
            Self::Root if !rustix::process::geteuid().is_root() => Some("needs root".into()),
            Self::Root if !namespaces() => Some("needs network namespaces (CAP_SYS_ADMIN)".into()),
            Self::Cgroups if groups().is_none() => {
                Some("needs control groups (mount -t cgroup2 cgroup2 /sys/fs/cgroup)".into())
            }
            Self::KernelLog if !kernel_log() => {
                Some("needs a kernel log that may be read, and of other namespaces' firewalls (/dev/kmsg)".into())
            }
            Self::Isso if built_in("isso/bin/isso").is_err() => {
                Some("needs isso (scripts/isso.sh target, with access to PyPI)".into())
            }
            Self::Program(name, package) if found(name).is_none() => {
                Some(format!("needs {name} (apt-get install {package})"))
            }
            Self::Tun if !Path::new("/dev/net/tun").exists() => Some("needs /dev/net/tun (modprobe tun)".into()),
            Self::Vlan if !vlan() => Some("needs VLAN interfaces in the kernel (modprobe 8021q)".into()),
            Self::Cgroups | Self::Isso | Self::KernelLog | Self::Root => None,
            Self::Program(..) | Self::Tun | Self::Vlan => None,
        }
    }

    /// The word by which `KLOPF_MAY_SKIP` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroups => "cgroups",
            Self::Isso => "isso",
            Self::KernelLog => "kernel-log",
            Self::Root => "root",
            Self::Program(name, _) => name,
            Self::Tun => "tun",
            Self::Vlan => "vlan",
        }
    }
}

fn namespaces() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| succeeds_apart("true"))
}

/// The switch comes with the module of the first rule that logs.
fn kernel_log() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    let opens = |path: &str| std::fs::File::options().write(true).open(path).is_ok();
    *ANSWER.get_or_init(|| {
        let rule = "nft 'add table inet t; add chain inet t c; add rule inet t c log'";
        succeeds_apart(rule) && opens(KernelLog::SWITCH) && opens("/dev/kmsg")
    })
}

fn vlan() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        succeeds_apart("ip link add v0 type veth peer name v1 && ip link add link v0 name v0.5 type vlan id 5")
    })
}

/// Whether a shell command works in a network namespace that goes with it.
fn succeeds_apart(command: &str) -> bool {
    let quiet = Command::new("unshare")
        .args(["-n", "sh", "-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}
