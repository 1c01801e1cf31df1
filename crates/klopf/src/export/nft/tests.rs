use std::process::{Command, Stdio};

use klopf_config::native::parse;

use super::*;

const SMALL: &str = r#"
    [door.ssh]
    guard = ["tcp/22", "udp/60000-61000"]
    sequence = ["42000", "23000/udp", "1337"]
    open-for = "5m"
    always-allow = ["192.0.2.0/24", "2001:db8::/32"]

    [door.only-a-command]
    sequence = ["1"]
    on-open = ["/bin/true"]
"#;

const LARGE: &str = r#"
    [door.0-9]
    guard = ["tcp/22"]
    sequence = ["7000", "7000", "7000"]
    within = "500ms"
    closed = "reject"
    on-open = ["/bin/true"]
    extend-while-connected = true
    [door.ip]
    guard = ["tcp/22", "udp/60000-61000", "udp/5"]
    sequence = ["22"]
    closed = "reject"
    max-leases = 3
    allow-prefix = 24
    allow-prefix6 = 56
    always-allow = ["0.0.0.0/0", "192.0.2.7", "::/0"]
    [door."-._"]
    guard = ["tcp/1-65535"]
    sequence = ["1/udp", "2", "3/udp", "4"]
    open-for = "30d"
    closed = "reject"
"#;

fn export(text: &str) -> Option<String> {
    ruleset(&parse("klopf.toml", text).unwrap().config.doors)
}

#[test]
fn a_ruleset_reads_like_this() {
    let text = export(SMALL).unwrap();
    let (_, table) = text.split_once("table inet klopf_knock {\n").unwrap();
    insta::assert_snapshot!(table.replace('\t', "  "), @r#"
      # Door ssh: 42000/tcp, 23000/udp, 1337/tcp opens tcp/22, udp/60000-61000.
      set door_ssh_hit1_v4 { type ipv4_addr; flags dynamic, timeout; size 65536; timeout 5s; }
      set door_ssh_hit2_v4 { type ipv4_addr; flags dynamic, timeout; size 65536; timeout 5s; }
      set door_ssh_open_v4 { type ipv4_addr; flags dynamic, timeout; size 65536; timeout 5m; }
      set door_ssh_always_v4 { type ipv4_addr; flags interval; auto-merge; elements = { 192.0.2.0/24 }; }
      set door_ssh_hit1_v6 { type ipv6_addr; flags dynamic, timeout; size 65536; timeout 5s; }
      set door_ssh_hit2_v6 { type ipv6_addr; flags dynamic, timeout; size 65536; timeout 5s; }
      set door_ssh_open_v6 { type ipv6_addr; flags dynamic, timeout; size 65536; timeout 5m; }
      set door_ssh_always_v6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8::/32 }; }

    chain prerouting {
        # Right after connection tracking, before addresses are rewritten: ports that are forwarded are guarded, too.
        type filter hook prerouting priority -199; policy accept;
        ct state established,related accept
        iif lo accept
        # What this host only passes on.
        fib daddr type unicast accept
        meta nfproto vmap { ipv4 : jump knock_v4, ipv6 : jump knock_v6 }
        jump guard
      }

      chain knock_v4 {
        tcp flags & (syn | ack) == syn tcp dport 1337 ip saddr @door_ssh_hit1_v4 ip saddr @door_ssh_hit2_v4 update @door_ssh_open_v4 { ip saddr }
        udp dport 23000 ip saddr @door_ssh_hit1_v4 update @door_ssh_hit2_v4 { ip saddr }
        tcp flags & (syn | ack) == syn tcp dport 42000 update @door_ssh_hit1_v4 { ip saddr }
      }

      chain knock_v6 {
        tcp flags & (syn | ack) == syn tcp dport 1337 ip6 saddr @door_ssh_hit1_v6 ip6 saddr @door_ssh_hit2_v6 update @door_ssh_open_v6 { ip6 saddr }
        udp dport 23000 ip6 saddr @door_ssh_hit1_v6 update @door_ssh_hit2_v6 { ip6 saddr }
        tcp flags & (syn | ack) == syn tcp dport 42000 update @door_ssh_hit1_v6 { ip6 saddr }
      }

      chain guard {
        # A connection from before the kernel tracked any. To anybody else the host answers such a packet with a reset,
        # whether something listens there or not.
        tcp flags & (fin | syn | rst | ack) == ack accept
        tcp dport 22 ip saddr @door_ssh_open_v4 accept
        tcp dport 22 ip saddr @door_ssh_always_v4 accept
        tcp dport 22 ip6 saddr @door_ssh_open_v6 accept
        tcp dport 22 ip6 saddr @door_ssh_always_v6 accept
        udp dport 60000-61000 ip saddr @door_ssh_open_v4 accept
        udp dport 60000-61000 ip saddr @door_ssh_always_v4 accept
        udp dport 60000-61000 ip6 saddr @door_ssh_open_v6 accept
        udp dport 60000-61000 ip6 saddr @door_ssh_always_v6 accept
        tcp dport 22 drop
        udp dport 60000-61000 drop
      }
    }
    "#);
}

#[test]
fn what_only_klopfd_can_do_is_said() {
    let text = export(LARGE).unwrap();
    assert!(text.contains("# Only klopfd can do its on-open, extend-while-connected.\n"), "{text}");
}

#[test]
fn doors_that_guard_nothing_need_no_ruleset() {
    assert_eq!(export(""), None);
    assert_eq!(export("[door.a]\nsequence = [1, 2, 3]\non-open = [\"/bin/true\"]\n"), None);
}

/// Looks only: nothing is loaded.
#[test]
fn nft_takes_it() {
    for text in [SMALL, LARGE] {
        let text = export(text).unwrap();
        let path = std::env::temp_dir().join(format!("klopf-export-{}.nft", std::process::id()));
        std::fs::write(&path, &text).unwrap();
        let output = Command::new("nft").arg("-c").arg("-f").arg(&path).stdin(Stdio::null()).output();
        std::fs::remove_file(&path).unwrap();
        match output {
            Err(error) => return println!("skipped: nft cannot be run: {error}"),
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                if said.contains("Operation not permitted") {
                    return println!("skipped: needs root");
                }
                panic!("{said}{text}");
            }
        }
    }
}
