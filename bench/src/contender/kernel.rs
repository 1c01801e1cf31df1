//! Port knocking by the kernel alone, as the nftables wiki describes it: a set of who may make which hit next, for a second each, and
//! a set of who is let in.

use std::fmt::Write;
use std::process::{Command, Stdio};

use super::{GUARDED, SEQUENCE, Started, hits, words};
use crate::error::Result;
use crate::lab::Lab;
use crate::user::Client;

const CLIENT: &str = "/usr/bin/knock";
const NFT: &str = "/usr/sbin/nft";

/// What nft calls itself.
pub(crate) fn version() -> Option<String> {
    let said = Command::new(NFT).arg("--version").stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

pub(super) fn start(lab: &Lab) -> Result<Started> {
    lab.run_on_server(&words(&[NFT, "-f", &lab.write("rules", &ruleset())?]))?;
    let shut = words(&[NFT, "flush set inet knocking let_in"]);
    let client = Client::Command { program: CLIENT.into(), words: hits("knock", &[]) };
    Ok(Started { child: None, shut, shut_prober: None, client })
}

fn ruleset() -> String {
    let mut hits = String::new();
    for (place, port) in SEQUENCE.iter().enumerate() {
        let may = if place == 0 { "" } else { " ip saddr . tcp dport @next_hit" };
        let then = match SEQUENCE.get(place + 1) {
            Some(next) => format!("add @next_hit {{ ip saddr . {next} timeout 1s }}"),
            None => "add @let_in { ip saddr timeout 10s }".to_owned(),
        };
        let _ = writeln!(hits, "\t\ttcp dport {port}{may} {then}");
    }
    format!(
        "table inet knocking {{
	set next_hit {{ type ipv4_addr . inet_service; flags timeout; }}
	set let_in {{ type ipv4_addr; flags timeout; }}
	chain input {{
		type filter hook input priority -10; policy accept;
		iifname lo return
{hits}\t\ttcp dport {GUARDED} ip saddr @let_in accept
		tcp dport {GUARDED} ct state established,related accept
		tcp dport {GUARDED} drop
	}}
}}
"
    )
}
