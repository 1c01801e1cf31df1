//! Encoded sequences of doors.

use std::time::Duration;

use klopf_spa::encoded::{Fields, Span, Template, Transport, Whom};

use super::{faults, read, sealed, warnings};
use crate::native::{Encoded, PortRange};
use klopf_wire::Proto;

fn door(encoded: &str, rest: &str) -> String {
    format!(
        "{}[door.ssh]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\nencoded = {encoded}\n{rest}\n",
        sealed::key("a", 0, "")
    )
}

#[test]
fn every_key_of_it_is_read() {
    let config = read(&door(
        "{ ports = \"40000-40255\", proto = \"udp\", fields = [\"for\", \"addr6\", \"net\"], within = \"2m\" }",
        "",
    ));
    let fields = Fields { whom: Whom::V6Net, port: false, hold: true, flags: false };
    let template = Template { span: Span::new(40000, 40255).unwrap(), transport: Transport::Udp, fields };
    let encoded = config.doors[0].encoded.unwrap();
    assert_eq!(encoded, Encoded { template, within: Duration::from_secs(120) });
    assert_eq!(encoded.ports(), PortRange { proto: Proto::Udp, first: 40000, last: 40255 });
}

#[test]
fn what_is_not_written_of_it_has_defaults() {
    let encoded = read(&door("{ ports = \"32768-65535\" }", "")).doors[0].encoded.unwrap();
    let fields = Fields { whom: Whom::V4, port: false, hold: false, flags: false };
    assert_eq!((encoded.template.fields, encoded.template.transport), (fields, Transport::Tcp));
    assert_eq!((encoded.within, encoded.ports().last), (Duration::from_secs(60), 65535));
    assert_eq!(warnings(&door("{ ports = \"40000-40255\" }", "")), [""; 0]);
}

#[test]
fn wrong_values_of_it_are_told() {
    for (encoded, expected) in [
        ("5", "8:11: `encoded` must be a table, not an integer"),
        ("{}", "8:11: `encoded` needs `ports`"),
        ("{ ports = 5 }", "8:21: `ports` must be a string, not an integer"),
        ("{ ports = \"1-9\" }", "8:21: `1-9` is 9 ports, and not a power of two from 256 to 32,768 of them"),
        ("{ ports = \"40000-40255\", proto = \"sctp\" }", "8:44: `sctp` is no way to hit ports"),
        ("{ ports = \"40000-40255\", fields = [\"adr\"] }", "8:45: `adr` is no field"),
        ("{ ports = \"40000-40255\", fields = [\"net\"] }", "8:45: `net` without an address is no network"),
        ("{ ports = \"40000-40255\", within = \"2h\" }", "8:45: `2h` is too long"),
        ("{ ports = \"40000-40255\", feilds = [] }", "8:36: unknown key `feilds` in `encoded`"),
    ] {
        assert_eq!(faults(&door(encoded, "")), [expected], "{encoded}");
    }
}

#[test]
fn one_that_opens_nothing_is_warned_of() {
    let ports = "{ ports = \"40000-40255\" }";
    for (rest, expected) in [
        ("via = [\"packet\"]", "the encoded sequences of door `ssh` open nothing: `via` leaves them out"),
        ("second-factor = \"totp\"", "door `ssh` asks for a code, which no encoded sequence has"),
        ("sequence = [7000, 9000, 8000]", ""),
    ] {
        let told = warnings(&door(ports, rest));
        assert!(told.iter().any(|line| *line == expected) || expected.is_empty() && told.is_empty(), "{told:?}");
    }
    let told = warnings(&door("{ ports = \"1-256\" }", ""));
    assert_eq!(told, ["door `ssh` guards tcp/22, which its encoded sequences hit"]);
    let told = warnings(
        "[door.a]\non-open = [\"/bin/true\"]\nencoded = { ports = \"40000-40255\" }\nsequence = [9000, 7000, 8000]",
    );
    assert_eq!(told, ["there is no key whose encoded sequences open door `a`"]);
}

#[test]
fn there_are_no_more_than_sixteen_spans() {
    let doors = |count: u16| {
        let door = |n: u16| {
            let (first, last) = (1024 + n * 256, 1279 + n * 256);
            format!("[door.d{n}]\nguard = [\"tcp/22\"]\nkeys = [\"*\"]\nencoded = {{ ports = \"{first}-{last}\" }}\n")
        };
        (0..count).map(door).collect::<String>() + &door(0).replace("d0", "again")
    };
    assert_eq!(faults(&doors(16)), [""; 0]);
    assert_eq!(faults(&doors(17)), ["68:11: encoded sequences have more than 16 different ranges of ports"]);
}
