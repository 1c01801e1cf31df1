//! What doors run, and what may be asked for.

use super::*;

fn door(text: &str) -> Door {
    read(&format!("[door.a]\nsequence = [9, 5, 7]\n{text}")).doors.remove(0)
}

fn wrong(text: &str) -> Vec<String> {
    let text = format!("[door.a]\nsequence=[9,5,7]\n{text}");
    faults(&text).into_iter().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).collect()
}

fn odd(text: &str) -> Vec<String> {
    warnings(&format!("[door.a]\nsequence=[9,5,7]\non-close=[\"/x\"]\n{text}"))
}

#[test]
fn one_command_or_several_are_read() {
    let action = |words: &[&str], after| {
        let run = words.iter().map(ToString::to_string).collect();
        Action { run, after: Duration::from_secs(after) }
    };
    for (text, expected) in [
        (r#"["/a", "{ip}"]"#, vec![action(&["/a", "{ip}"], 0)]),
        (r#"[["/a", "{ip}"]]"#, vec![action(&["/a", "{ip}"], 0)]),
        (r#"[{ run = ["/a"] }]"#, vec![action(&["/a"], 0)]),
        (
            r#"[["/a"], { run = ["/b", "{addr}", "x"], after = "10s" }, ["/c"]]"#,
            vec![action(&["/a"], 0), action(&["/b", "{addr}", "x"], 10), action(&["/c"], 0)],
        ),
    ] {
        assert_eq!(door(&format!("on-open = {text}")).on_open, expected, "{text}");
        assert_eq!(door(&format!("on-close = {text}")).on_close, expected, "{text}");
    }
}

#[test]
fn faults_in_lists_of_commands_are_named() {
    let many = vec![r#"["/a"]"#; 17].join(", ");
    for (text, expected) in [
        ("[]", &["`on-open` names no program"][..]),
        ("[[]]", &["`on-open` names no program"]),
        (r#""/a""#, &["`on-open` must be a list, for no shell takes it apart"]),
        (r#"[["/a"], "/b"]"#, &["each command of `on-open` is a list of its own"]),
        (r#"["/a", ["/b"]]"#, &["`on-open` must be a string, not a list"]),
        (r#"[["a"], { run = ["b"] }]"#, &["the program must be an absolute path"; 2]),
        (r#"[{ after = "10s" }]"#, &["the command has no `run`"]),
        (r#"[{ rum = ["/a"] }]"#, &["unknown key `rum` in a command"]),
        (r#"[{ run = ["/a"], after = 10 }]"#, &["`after` must be a string, not an integer"]),
        (r#"[{ run = ["/a"], after = "31d" }]"#, &["`31d` is too long"]),
        (&format!("[{many}]"), &["`on-open` has more than 16 commands"]),
    ] {
        assert_eq!(wrong(&format!("on-open = {text}")), expected, "{text}");
    }
}

#[test]
fn a_command_that_comes_too_late_is_warned_of() {
    let late = r#"on-open = [["/a"], { run = ["/b"], after = "30s" }]"#;
    for (more, expected) in [
        (r#"open-for = "30s""#, &["the door has closed by then"][..]),
        (r#"open-for = "31s""#, &[]),
        ("open-for = \"30s\"\nmay-ask = { for = \"1h\" }", &[]),
    ] {
        assert_eq!(odd(&format!("{late}\n{more}")), expected, "{more}");
    }
}

#[test]
fn what_may_be_asked_for_is_read() {
    let tcp = |first, last| PortRange { proto: Proto::Tcp, first, last };
    let guard = r#"guard = ["tcp/22", "tcp/8000-8010"]"#;
    let usual = door(guard);
    assert_eq!((&usual.may_ask, usual.askable()), (&MayAsk::default(), &[tcp(22, 22), tcp(8000, 8010)][..]));
    let some = door(&format!(
        r#"{guard}
may-ask = {{ ports = ["tcp/8001-8002"], flags = [3], prefix6 = 48 }}"#
    ));
    let expected = MayAsk { ports: Some(vec![tcp(8001, 8002)]), flags: 0b1000, prefix6: 48, ..MayAsk::default() };
    assert_eq!((&some.may_ask, some.askable()), (&expected, &[tcp(8001, 8002)][..]));
    let none = door(&format!("{guard}\nmay-ask = {{ ports = [], flags = [] }}"));
    assert_eq!((none.askable(), none.may_ask.flags), (&[][..], 0));
    let unguarded = door(r#"may-ask = { ports = ["udp/53"] }"#);
    assert_eq!(unguarded.askable(), [PortRange { proto: Proto::Udp, first: 53, last: 53 }]);
}

#[test]
fn faults_in_what_may_be_asked_for_are_named() {
    for (text, expected) in [
        ("22", "`may-ask` must be a table, not an integer"),
        (r#"{ port = ["tcp/22"] }"#, "unknown key `port` in `may-ask`"),
        (r#"{ ports = ["tcp/23"] }"#, "door `a` does not guard tcp/23"),
        (r#"{ ports = ["tcp/8005-8011"] }"#, "door `a` does not guard tcp/8005-8011"),
        (r#"{ ports = ["udp/22"] }"#, "door `a` does not guard udp/22"),
        (r#"{ ports = ["22"] }"#, "`22` is not a protocol and its ports"),
        (r#"{ for = "31d" }"#, "`31d` is too long"),
        ("{ prefix = 7 }", "`prefix` is 8 to 32"),
        ("{ prefix6 = 31 }", "`prefix6` is 32 to 128"),
        ("{ flags = [4] }", "`flags` is 0 to 3"),
    ] {
        let text = format!("guard = [\"tcp/22\", \"tcp/8000-8010\"]\nmay-ask = {text}");
        assert_eq!(wrong(&text), [expected], "{text}");
    }
}

#[test]
fn what_a_sequence_may_name_and_nobody_grants_is_warned_of() {
    let guard = "guard = [\"tcp/22\", \"udp/22\"]";
    for (text, expected) in [
        (
            format!("{guard}\nmay-ask = {{ ports = [\"tcp/22\"] }}"),
            &["a knock that asks for tcp/22 opens udp/22, too: it says no protocol"][..],
        ),
        (format!("{guard}\nmay-ask = {{ ports = [\"tcp/22\", \"udp/22\"] }}"), &[]),
    ] {
        assert_eq!(odd(&text), expected, "{text}");
    }
    let encoded = |fields: &str, more: &str| {
        let key = sealed::key("a", 0, "");
        let command = r#"on-open = ["/x", "{port}{flag1}"]"#;
        let spelled = format!("encoded = {{ ports = \"40000-40255\", fields = [{fields}] }}");
        warnings(&format!("{key}[door.ssh]\nkeys = [\"*\"]\n{command}\n{spelled}\n{more}\n"))
    };
    let network = "a sequence of `ssh` may name a network, and none is granted";
    let port = "a sequence of `ssh` may name a port, and none is granted";
    let [no_port, no_flag] = ["port", "flag1"].map(|word| format!("nobody who opens `ssh` says what `{{{word}}}` is"));
    let none: [&str; 0] = [];
    assert_eq!(encoded("\"addr\"", ""), [no_port.as_str(), &no_flag]);
    assert_eq!(encoded("\"addr\", \"port\", \"flag\"", ""), [port]);
    assert_eq!(encoded("\"addr\", \"port\", \"flag\"", "guard = [\"tcp/22\"]"), none);
    assert_eq!(encoded("\"addr\", \"net\", \"port\", \"flag\"", "may-ask = { ports = [\"tcp/22\"] }"), [network]);
    let all = "may-ask = { ports = [\"tcp/22\"], prefix = 24 }";
    assert_eq!(encoded("\"addr\", \"net\", \"port\", \"flag\"", all), none);
}
