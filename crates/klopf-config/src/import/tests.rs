use proptest::prelude::*;

use super::*;
use crate::{knockd, native};

fn imported(text: &str) -> Imported {
    let checked = knockd::parse(text.as_bytes()).unwrap_or_else(|faults| panic!("{faults:?}"));
    let imported = import(&checked.config);
    if let Err(faults) = native::parse("klopf.toml", &imported.text) {
        panic!("{faults}\n{}", imported.text);
    }
    imported
}

/// The lines that are no remarks.
fn lines(imported: &Imported) -> Vec<&str> {
    imported.text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
}

#[test]
fn the_doors_that_everybody_has_become_one_with_a_guard() {
    let imported = imported(
        "[options]\n\tUseSyslog\n\n[openSSH]\n\tsequence = 7000,8000,9000\n\tseq_timeout = 5\n\
         \tcommand = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n\ttcpflags = syn\n\n\
         [closeSSH]\n\tsequence = 9000,8000,7000\n\tseq_timeout = 5\n\
         \tcommand = /sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n\ttcpflags = syn\n",
    );
    let expected = [
        "[daemon]",
        "log = \"syslog\"",
        "[door.openSSH]",
        "guard = [\"tcp/22\"]",
        "sequence = [\"7000\", \"8000\", \"9000\"]",
        "within = \"5s\"",
        "open-for = \"1h\"",
    ];
    assert_eq!(lines(&imported), expected);
    assert!(imported.left_out.is_empty());
    let changed = imported.changed.join("\n");
    for what in ["your own rules accept", "[closeSSH] closed what [openSSH] opens", "it had no end"] {
        assert!(changed.contains(what), "{changed}");
        assert!(imported.text.contains(what));
    }
}

#[test]
fn a_door_that_closes_by_itself_is_one_for_that_time() {
    let imported = imported(
        "[opencloseSMTP]\nsequence = 2222:udp,3333:tcp,4444:udp\nseq_timeout = 15\ncmd_timeout = 30\n\
         start_command = /usr/sbin/ufw allow from %IP% to any port smtp proto tcp\n\
         stop_command = /usr/sbin/ufw delete allow from %IP% to any port smtp proto tcp\ntcpflags = syn,ack\n",
    );
    let expected = [
        "[door.opencloseSMTP]",
        "guard = [\"tcp/25\"]",
        "sequence = [\"2222/udp\", \"3333\", \"4444/udp\"]",
        "within = \"15s\"",
        "open-for = \"30s\"",
    ];
    assert_eq!(lines(&imported), expected);
    assert!(imported.changed.iter().any(|note| note.contains("TCPFlags")));
}

#[test]
fn commands_stay_commands() {
    let imported = imported(
        "[start]\nsequence = 1,2,3\ncommand = /etc/init.d/ssh start\n[rule]\nsequence = 4,5,6\n\
         start_command = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\nstop_command = logger \"bye %IP%\" | cat\n\
         [both]\nsequence = 7,8,9\ncommand = /bin/a %IP%\ncommand_6 = /bin/b\n",
    );
    let expected = [
        "[door.start]",
        "sequence = [\"1\", \"2\", \"3\"]",
        "within = \"25s\"",
        "on-open = [\"/etc/init.d/ssh\", \"start\"]",
        "[door.rule]",
        "guard = [\"tcp/22\"]",
        "sequence = [\"4\", \"5\", \"6\"]",
        "within = \"25s\"",
        "open-for = \"10s\"",
        "on-close = [\"/bin/sh\", \"-c\", \"logger \\\"bye $1\\\" | cat\", \"sh\", \"{ip}\"]",
        "[door.both]",
        "sequence = [\"7\", \"8\", \"9\"]",
        "within = \"25s\"",
        "on-open = [\"/bin/sh\", \"-c\", \"case $1 in *:*) /bin/b;; *) /bin/a \\\"$1\\\";; esac\", \"sh\", \"{ip}\"]",
    ];
    assert_eq!(lines(&imported), expected);
}

#[test]
fn what_cannot_be_turned_is_said() {
    let imported = imported(
        "[options]\nPidFile = /run/x\nLogFile = log\nInterface = eth7\n[once]\none_time_sequences = /etc/once\ncommand = /bin/a\n\
         [zero]\nsequence = 0,1\ncommand = /bin/a\n[a door]\nsequence = 1,2,3\ntarget = 192.0.2.1\nseq_timeout = 0\ncommand = /bin/a\n\
         [a-door]\nsequence = 1,2,4\n",
    );
    let left_out = imported.left_out.join("\n");
    for what in ["LogFile = log", "PidFile", "[once]: one-time", "[zero]: its sequence has port 0"] {
        assert!(left_out.contains(what), "{left_out}");
    }
    let changed = imported.changed.join("\n");
    for what in
        ["[a door]: it counted what is for 192.0.2.1", "[a door]: with Seq_Timeout = 0", "[a-door]: it runs nothing"]
    {
        assert!(changed.contains(what), "{changed}");
    }
    assert!(lines(&imported).starts_with(&["[daemon]", "interfaces = [\"eth7\"]", "[door.a-door]"]));
    assert!(imported.text.contains("\n[door.a-door-2]\n"));
}

proptest! {
    #[test]
    fn whatever_knockd_reads_becomes_a_file_without_faults(
        names in proptest::collection::vec("[ -~äß]{0,80}", 1..4),
        commands in proptest::collection::vec("(/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT|[ -~ä]{0,60})", 4),
        ports in proptest::collection::vec((0_u16..=65_535, any::<bool>()), 1..33),
        times in (0_u64..100_000, 0_u64..100_000_000),
    ) {
        let ports: Vec<String> = ports.iter().map(|(port, udp)| format!("{port}:{}", if *udp { "udp" } else { "tcp" })).collect();
        let mut text = String::new();
        for name in names {
            let keys = ["start_command", "start_command_6", "stop_command", "stop_command_6"];
            let commands: String = keys.iter().zip(&commands).map(|(key, line)| format!("{key} = {line}\n")).collect();
            text.push_str(&format!(
                "[{name}]\nsequence = {}\nseq_timeout = {}\ncmd_timeout = {}\n{commands}",
                ports.join(","), times.0, times.1
            ));
        }
        if let Ok(checked) = knockd::parse(text.as_bytes()) {
            let imported = import(&checked.config);
            if let Err(faults) = native::parse("klopf.toml", &imported.text) {
                prop_assert!(false, "{}\n{}", faults, imported.text);
            }
        }
    }
}
