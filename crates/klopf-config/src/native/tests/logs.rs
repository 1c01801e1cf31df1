//! What a file says of logs, and what doors make of it.

use klopf_wire::line::Preset;

use super::*;

const HITS: &str = "[log.kern]\nfile = \"/var/log/kern.log\"\npreset = \"nft\"\n";
const TOKENS: &str = "[log.web]\nfile = \"/var/log/nginx/access.log\"\n";
const DOOR: &str = "[door.ssh]\nguard = [\"tcp/22\"]\n";
const SEQUENCE: &str = "sequence = [42000, 1337, 23000]\n";

fn key() -> String {
    sealed::key("k", 0, "")
}

fn log(lines: &str) -> String {
    format!("[log.l]\n{lines}\n{DOOR}{SEQUENCE}via = [\"log\"]\n")
}

fn help(text: &str) -> Vec<String> {
    parse("klopf.toml", text).unwrap().warnings.into_iter().map(|fault| fault.help).collect()
}

#[test]
fn every_key_of_logs_is_read() {
    let config = read(
        r#"
        [daemon]
        sources = ["log", "log"]
        [log.kern]
        file = "/var/log/kern.log"
        preset = "ufw"
        prefix = "[UFW AUDIT] "
        patterns = ['(?<src>\S+) (?<dport>\d+)', 'x (?<src>\S+) (?<dst>\S+) (?<proto>\S+) (?<dport>\d+)']
        tokens = true
        [log.web]
        journal = "nginx.service"
        [log.all]
        journal = "kernel"
        preset = "iptables"
        [log.group]
        nflog = 65535
        [door.ssh]
        sequence = [42000, 1337, 23000]
        on-open = ["/bin/true"]
        "#,
    );
    assert_eq!(config.daemon.sources, Watched { packet: false, log: true });
    assert_eq!(read("").daemon.sources, Watched { packet: true, log: true });
    let [kern, web, all, group] = &config.logs[..] else { panic!("{:?}", config.logs) };
    assert_eq!((&*kern.name, &kern.from), ("kern", &LogFrom::File("/var/log/kern.log".into())));
    assert_eq!(
        (kern.preset, kern.prefix.as_deref(), kern.patterns.len()),
        (Some(Preset::Ufw), Some("[UFW AUDIT] "), 2)
    );
    assert_eq!(kern.reader().unwrap().len(), 3);
    assert_eq!(web.from, LogFrom::Journal("nginx.service".into()));
    assert_eq!((&all.from, all.preset), (&LogFrom::Journal("kernel".into()), Some(Preset::Iptables)));
    assert_eq!(group.from, LogFrom::Nflog(65535));
    assert_eq!([kern, web, all, group].map(|log| log.tokens), [true, true, false, false]);
    assert_eq!([kern, web, all, group].map(Log::tells_of_hits), [true, false, true, true]);
}

#[test]
fn wrong_logs_are_told() {
    for (lines, expected) in [
        ("", &["1:6: log `l` says nothing of where it is"][..]),
        ("file = \"/l\"\nnflog = 5", &["3:1: log `l` is in more than one place"]),
        ("file = \"l\"", &["2:8: `file` must be an absolute path"]),
        ("file = \"/var/log/\"", &["2:8: `file` names no file"]),
        ("file = 5", &["2:8: `file` must be a string, not an integer"]),
        ("journal = \"nginx\"", &["2:11: `nginx` is neither `kernel` nor a unit"]),
        ("journal = \"-f.service\"", &["2:11: `-f.service` is neither `kernel` nor a unit"]),
        ("nflog = 65536", &["2:9: `nflog` is 0 to 65535"]),
        ("nflog = 5\npreset = \"nft\"", &["3:1: `preset` is for logs of lines"]),
        (
            "nflog = 5\nprefix = \"x\"\ntokens = true",
            &["3:1: `prefix` is for logs of lines", "4:1: `tokens` is for logs of lines"],
        ),
        ("file = \"/l\"\npreset = \"nftables\"", &["3:10: `preset` cannot be `nftables`"]),
        ("file = \"/l\"\npreset = \"ntf\"\nprefix = \"K \"", &["3:10: `preset` cannot be `ntf`"]),
        ("file = \"/l\"\nprefix = \"K \"", &["3:10: `prefix` is for a `preset`"]),
        ("file = \"/l\"\npreset = \"nft\"\nprefix = \"\"", &["4:10: `prefix` is empty"]),
        ("file = \"/l\"\npatterns = []", &["3:12: `patterns` has no pattern"]),
        ("file = \"/l\"\npatterns = [5]", &["3:13: `patterns` must be a string, not an integer"]),
        (
            "file = \"/l\"\npatterns = ['(?<src>x)', '(?<src>.) (?<dport>.)', '(']",
            &["3:13: a pattern has no group `dport`", "3:51: a pattern is no regular expression: unclosed group"],
        ),
        ("file = \"/l\"\ntokens = false", &["3:1: log `l` is read for neither hits nor tokens"]),
        ("file = \"/l\"\npattern = []", &["3:1: unknown key `pattern` in log `l`"]),
    ] {
        assert_eq!(faults(&log(lines)), expected, "{lines}");
    }
    let many: String = (0..17).map(|n| format!("[log.l{n}]\nnflog = {n}\n")).collect();
    assert_eq!(faults(&many), ["33:6: there are more than 16 logs"]);
    assert_eq!(faults("file = \"/l\""), ["1:1: `file` belongs to a log"]);
    assert_eq!(faults("log = 5"), ["1:1: `log` belongs to `[daemon]`"]);
}

#[test]
fn wrong_sources_are_told() {
    for (value, expected) in [
        ("[]", "2:11: `sources` names nothing to watch"),
        ("\"log\"", "2:11: `sources` must be a list, not a string"),
        ("[\"logs\"]", "2:12: `logs` is no source"),
        ("[\"log\", \"mail\"]", "2:19: `mail` is no source"),
    ] {
        assert_eq!(faults(&format!("[daemon]\nsources = {value}\n")), [expected]);
    }
}

#[test]
fn fine_logs_are_not_warned_of() {
    let key = key();
    for text in [
        format!("[daemon]\nsources = [\"log\"]\n{HITS}{DOOR}{SEQUENCE}"),
        format!("{HITS}{DOOR}{SEQUENCE}via = [\"log\"]"),
        format!("{TOKENS}{DOOR}keys = [\"*\"]\n{key}"),
        format!("{TOKENS}{HITS}{DOOR}keys = [\"*\"]\nencoded = {{ ports = \"40000-40255\" }}\n{key}"),
        format!("{TOKENS}{DOOR}keys = [\"*\"]\nvalid-for = \"1h\"\nvia = [\"packet\", \"log\"]\n{key}"),
        format!("[log.n]\nnflog = 5\n{DOOR}{SEQUENCE}via = [\"log\"]"),
        format!("{TOKENS}{DOOR}{SEQUENCE}keys = [\"*\"]\n{key}"),
        format!("[daemon]\nsources = [\"packet\"]\n{DOOR}{SEQUENCE}"),
    ] {
        assert_eq!(warnings(&text), [""; 0], "{text}");
    }
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let key = key();
    for (text, expected) in [
        (
            format!("[daemon]\nsources = [\"packet\"]\n{HITS}{DOOR}{SEQUENCE}"),
            &["log `kern` is not read: `sources` leaves out `log`"][..],
        ),
        (
            format!("[daemon]\nsources = [\"log\"]\n{DOOR}{SEQUENCE}"),
            &["`sources` has `log`, and there is no `[log.NAME]`", "only `klopf grant` can open door `ssh`"],
        ),
        (
            format!("{HITS}{DOOR}{SEQUENCE}"),
            &["the sequence of door `ssh` counts twice, for packets and logs both tell of its hits"],
        ),
        (
            format!("{DOOR}{SEQUENCE}via = [\"sequence\", \"log\"]"),
            &["door `ssh` does not open via `log`: there is no `[log.NAME]`"],
        ),
        (
            format!("[daemon]\nsources = [\"packet\"]\n{DOOR}{SEQUENCE}via = [\"sequence\", \"log\"]"),
            &["door `ssh` does not open via `log`: `sources` leaves out `log`"],
        ),
        (
            format!("[daemon]\nsources = [\"log\"]\n{HITS}{DOOR}{SEQUENCE}via = [\"sequence\", \"log\"]"),
            &["door `ssh` does not open via `sequence`: `sources` leaves out `packet`"],
        ),
        (
            format!("[daemon]\nsources = [\"log\"]\n{TOKENS}{DOOR}{SEQUENCE}keys = [\"*\"]\n{key}"),
            &["the sequence of door `ssh` opens nothing: `sources` leaves out `packet`"],
        ),
        (
            format!("{TOKENS}{DOOR}{SEQUENCE}keys = [\"*\"]\nvia = [\"log\"]\n{key}"),
            &["the sequence of door `ssh` opens nothing: no log tells of hits"],
        ),
        (
            format!("{TOKENS}{DOOR}{SEQUENCE}via = [\"sequence\", \"log\"]"),
            &[
                "no door opens by log `web`, so it is read for nothing",
                "the logs tell of nothing that opens door `ssh`",
            ],
        ),
        (format!("{HITS}{DOOR}keys = [\"*\"]\n{key}"), &["no door opens by log `kern`, so it is read for nothing"]),
        (
            format!("{HITS}{}{DOOR}{SEQUENCE}via = [\"log\"]", HITS.replace("kern]", "again]")),
            &["logs `kern` and `again` are the same"],
        ),
        (
            format!("[log.l]\njournal = \"kernel\"\n{DOOR}keys = [\"*\"]\n{key}"),
            &["log `l` is read for tokens only, which the kernel does not write"],
        ),
        (
            format!(
                "{HITS}{DOOR}{SEQUENCE}keys = [\"*\"]\nsecond-factor = \"totp\"\nvia = [\"packet\", \"log\"]\n{}",
                sealed::key("k", 0, "totp = \"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\"")
            ),
            &["the sequence of door `ssh` opens it without a second factor"],
        ),
    ] {
        assert_eq!(warnings(&text), expected, "{text}");
    }
}

#[test]
fn a_sequence_that_counts_twice_is_helped_with_what_to_write() {
    let text = format!("{HITS}{DOOR}{SEQUENCE}keys = [\"*\"]\n{}", key());
    assert_eq!(help(&text), ["write `via = [\"packet\", \"sequence\"]`, or `\"log\"` in place of `\"sequence\"`"]);
    for via in ["[\"packet\", \"sequence\"]", "[\"packet\", \"log\"]"] {
        let text = text.replace("keys =", &format!("via = {via}\nkeys ="));
        let told = warnings(&text);
        let unread = via.contains("sequence").then_some("no door opens by log `kern`, so it is read for nothing");
        assert_eq!(told, Vec::from_iter(unread), "{via}");
    }
}

#[test]
fn a_key_opens_a_door_by_logs_that_are_watched() {
    let by_log = |text: &str| {
        let config = read(text);
        [Way::Log, Way::Packet].map(|way| config.opens_by(way, &config.keys[0], &config.doors[0]))
    };
    let door = format!("{DOOR}keys = [\"*\"]\n");
    let spelled = format!("{door}encoded = {{ ports = \"40000-40255\" }}\n");
    let key = key();
    assert_eq!(by_log(&format!("{TOKENS}{door}{key}")), [true, true]);
    assert_eq!(by_log(&format!("{HITS}{door}{key}")), [false, true]);
    assert_eq!(by_log(&format!("{HITS}{spelled}{key}")), [true, true]);
    assert_eq!(by_log(&format!("[daemon]\nsources = [\"log\"]\n{TOKENS}{door}{key}")), [true, false]);
    assert_eq!(by_log(&format!("[daemon]\nsources = [\"packet\"]\n{TOKENS}{door}{key}")), [false, true]);
}

/// As they are; the lines that `klopf.toml` only shows are read with those of the other sources.
#[test]
fn the_examples_are_fine() {
    let hits = read(include_str!("../../../../../examples/log.toml"));
    assert_eq!((hits.logs.len(), hits.doors[0].sequence.len()), (1, 3));
    assert_eq!(hits.logs[0].reader().unwrap().len(), 1);
    assert_eq!(warnings(include_str!("../../../../../examples/log.toml")), [""; 0]);
    let tokens = format!("{}{}", include_str!("../../../../../examples/accesslog.toml"), key());
    assert!(read(&tokens).logs[0].tokens);
    assert_eq!(warnings(&tokens), [""; 0]);
    let all = include_str!("../../../../../examples/klopf.toml").replace("\n#", "\n").replace("\n ", "\n# ");
    let all = read(&all);
    assert_eq!((all.logs.len(), all.daemon.sources), (3, Watched::default()));
}
