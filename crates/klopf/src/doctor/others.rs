//! Tables of others, which drop what Klopf lets in.

use std::fs;
use std::process::{Command, Stdio};

use klopf_gate::firewall::{BaseChain, Step, When};

use super::finding::Findings;
use super::host::Host;

pub(super) const ABOUT: &str = "other rules";

/// `tried` says whether each guarded port is tried later.
pub(super) fn check(host: &Host, tried: bool, findings: &mut Findings) {
    let before = findings.faults(ABOUT);
    let early: Vec<&BaseChain> = host.chains.iter().filter(|chain| chain.drops && chain.when == When::Before).collect();
    let late: Vec<&BaseChain> = host.chains.iter().filter(|chain| chain.drops && chain.when == When::After).collect();
    for chain in early {
        findings.warn(
            ABOUT,
            format!(
                "{chain} sees packets before Klopf and drops what its rules do not accept: knocks are seen all the \
                 same, but nobody gets to a door that it does not accept"
            ),
            format!("see that it accepts the ports of the doors: nft list chain {chain}"),
        );
    }
    for chain in &late {
        let text = format!(
            "{chain} drops what its rules do not accept. An accept in Klopf's table does not undo a drop elsewhere"
        );
        if tried {
            findings.fine(ABOUT, format!("{text}; whether it accepts the doors is tried below"));
        } else {
            let remedy = format!("see that it accepts the ports of the doors: nft list chain {chain}");
            findings.warn(ABOUT, text, remedy);
        }
    }
    for (program, tables) in legacy() {
        let text = format!("there are tables of {program}: {tables}");
        if tried {
            findings.fine(ABOUT, format!("{text}; whether they drop what is for a door is tried below"));
        } else {
            findings.warn(ABOUT, text, format!("see that they accept the ports of the doors: {program} -S"));
        }
    }
    if findings.faults(ABOUT) == before && late.is_empty() {
        let others = host.chains.iter().filter(|chain| chain.when != When::Never).count();
        findings.fine(
            ABOUT,
            match others {
                0 => "no other table sees packets that come in".to_owned(),
                1 => "the one chain of another table drops nothing by its policy".to_owned(),
                _ => format!("none of the {others} chains of other tables drops by its policy"),
            },
        );
    }
}

/// The old iptables, of which nf_tables knows nothing: by which program they are listed, and their names.
pub(super) fn legacy() -> Vec<(&'static str, String)> {
    let names = |file| {
        let text: String = fs::read_to_string(file).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(", ")
    };
    let all = [
        ("iptables-legacy", names("/proc/net/ip_tables_names")),
        ("ip6tables-legacy", names("/proc/net/ip6_tables_names")),
    ];
    all.into_iter().filter(|(_, names)| !names.is_empty()).collect()
}

/// Who has dropped a packet, by its rule or its policy.
pub(super) fn blame(step: &Step) -> String {
    let chain = format!("{} {} {}", step.family, step.table, step.chain);
    match step.rule {
        None => format!("{chain} by its policy"),
        Some(handle) => match rule_text(step, handle) {
            Some(rule) => format!("{chain} by its rule `{rule}`"),
            None => format!("{chain} by its rule with handle {handle}"),
        },
    }
}

/// What to do about it.
pub(super) fn mend(host: &Host, step: &Step, port: &str) -> String {
    let (proto, number) = port.split_once('/').unwrap_or(("tcp", port));
    let Step { family, table, chain, .. } = step;
    // What another program manages is changed by that program.
    let ufw = host.rules.iter().any(|rule| rule.family == *family && rule.chain.starts_with("ufw"));
    let accept = match (table.as_str(), *family) {
        ("firewalld", _) => format!("firewall-cmd --permanent --add-port {number}/{proto} && firewall-cmd --reload"),
        ("filter", "ip" | "ip6") if ufw => format!("ufw allow {number}/{proto}"),
        ("filter", "ip") if chain == "INPUT" => format!("iptables -I INPUT -p {proto} --dport {number} -j ACCEPT"),
        ("filter", "ip6") if chain == "INPUT" => format!("ip6tables -I INPUT -p {proto} --dport {number} -j ACCEPT"),
        _ => format!("nft insert rule {family} {table} {chain} {proto} dport {number} accept"),
    };
    format!(
        "let it accept the port, which Klopf guards all the same, and write that where its rules are kept: {accept}"
    )
}

/// Whether the table that dropped a packet may have done so because of the interface by which it came.
pub(super) fn by_interface(host: &Host, step: &Step) -> bool {
    host.rules.iter().any(|rule| rule.family == step.family && rule.table == step.table && rule.by_interface)
}

/// The rule as `nft` lists it, if there is an `nft`.
fn rule_text(step: &Step, handle: u64) -> Option<String> {
    let list = ["-a", "list", "chain", step.family, &step.table, &step.chain];
    let done = Command::new("nft").args(list).stdin(Stdio::null()).output().ok()?;
    find_rule(&String::from_utf8_lossy(&done.stdout), handle)
}

fn find_rule(listing: &str, handle: u64) -> Option<String> {
    let end = format!(" # handle {handle}");
    let line = listing.lines().find_map(|line| line.strip_suffix(&end))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_found_by_its_number() {
        let listing = "table ip filter { # handle 3\n\tchain INPUT { # handle 1\n\t\ttype filter hook input priority 0; \
                       policy accept;\n\t\ttcp dport 22 counter packets 0 bytes 0 drop # handle 13\n\t}\n}\n";
        assert_eq!(find_rule(listing, 13).unwrap(), "tcp dport 22 counter packets 0 bytes 0 drop");
        assert_eq!(find_rule(listing, 7), None);
    }

    #[test]
    fn who_dropped_is_named() {
        let step = Step { family: "inet", table: "t".into(), chain: "input".into(), rule: None, accepted: false };
        assert_eq!(blame(&step), "inet t input by its policy");
    }
}
