//! A knockd, Debian's or Klopf's: its man page's example, with the host's firewall closed.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{GUARDED, SEQUENCE, Started, WITHIN, daemon, hits, rules};
use crate::error::Result;
use crate::lab::{Lab, SERVER_LINK};
use crate::user::Client;

pub(crate) const PROGRAM: &str = "/usr/sbin/knockd";
const CLIENT: &str = "/usr/bin/knock";

/// What it calls itself.
pub(crate) fn version(program: &Path) -> Option<String> {
    let said = Command::new(program).arg("-V").stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or_default().to_owned())
}

pub(super) fn start(lab: &Lab, program: &Path) -> Result<Started> {
    let shut = rules(lab, "")?;
    let sequence = SEQUENCE.map(|port| port.to_string()).join(",");
    let config = lab.write(
        "knockd.conf",
        &format!(
            "[options]\n  logfile = {}\n[bench]\n  sequence = {sequence}\n  seq_timeout = {WITHIN}\n  tcpflags = syn\n  \
             command = /usr/sbin/iptables -A INPUT -s %IP% -p tcp --dport {GUARDED} -j ACCEPT\n",
            lab.path("log")
        ),
    )?;
    let child = daemon(lab, program, &["-c", &config, "-i", SERVER_LINK])?;
    let client = Client::Command { program: CLIENT.into(), words: hits("knock", &[]) };
    Ok(Started { child: Some(child), shut, shut_prober: None, client })
}
