//! Knocks spelled in port numbers, seen from outside.
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

#[path = "common/spelled.rs"]
mod spelled;

use std::fs;
use std::net::{TcpListener, UdpSocket};

use klopf_spa::encoded::{Claim, Fields, Span, Template, Transport, Whom};

use self::spelled::{Scene, one_pass, ports, template};

#[test]
fn a_log_has_the_hits_of_a_knock_that_opens_for_whom_it_says() {
    let scene = Scene::new();
    let log = "knock-encoded home/ssh --allow 203.0.113.7 --port 22 --for 90m --flag 0 --flag 3 --to-log -";
    let (code, out, err) = scene.run(log);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("A sequence has no 1h30m; it asks for 1h00m."), "{err}");
    let (template, ports) = (template(Whom::V4, true, Transport::Tcp), ports(&out));
    let (first, second) = ports.split_at(template.length());
    assert_eq!(first, second, "two passes of the same");
    let (claim, mark) = scene.claim("ssh", &template, first).unwrap();
    let expected = Claim { allow: Some(([203, 0, 113, 7].into(), 32)), port: Some(22), hold: 3600, flags: 0b1001 };
    assert_eq!(claim, expected);
    assert_eq!(scene.claim("web", &template, first), None);
    for line in out.lines() {
        let words = ["kernel: IN=eth0 ", " SRC=203.0.113.7 DST=127.86.1.1 ", " PROTO=TCP ", " SYN URGP=0"];
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    // The next one is another, though nothing else has changed.
    let (_, again, _) = scene.run(log);
    let again = one_pass(&again, template.length());
    assert!(scene.claim("ssh", &template, &again).unwrap().1 > mark && again != first);
}

#[test]
fn a_log_grows_and_says_from_where_hits_come() {
    let scene = Scene::new();
    let log = scene.folder.join("firewall.log");
    let line = format!(
        "knock-encoded /net --allow 2001:db8:1::/48 --ports 1024-33791 --passes 1 --log-source 198.51.100.9 --to-log {}",
        log.display()
    );
    for count in 1..=2 {
        let (code, out, err) = scene.run(&line);
        assert_eq!((code, &*out), (0, ""), "{err}");
        let text = fs::read_to_string(&log).unwrap();
        let template =
            Template { span: Span::new(1024, 33_791).unwrap(), ..template(Whom::V6Net, false, Transport::Udp) };
        assert_eq!(text.lines().count(), count * template.length());
        assert!(text.lines().all(|line| line.contains("SRC=198.51.100.9") && line.contains("PROTO=UDP")), "{text}");
        let (claim, _) = scene.claim("net", &template, &one_pass(&text, template.length())).unwrap();
        assert_eq!(claim.allow, Some(("2001:db8:1::".parse().unwrap(), 48)));
    }
}

#[test]
fn hits_arrive_as_often_as_there_are_passes() {
    let scene = Scene::new();
    let ears: Vec<UdpSocket> = (40_000..40_256).map(|port| UdpSocket::bind(("127.86.1.1", port)).unwrap()).collect();
    ears.iter().for_each(|ear| ear.set_nonblocking(true).unwrap());
    let (code, out, err) = scene.run("open home/seen --via encoded");
    assert_eq!(code, 0, "{err}");
    let length = template(Whom::Observed, false, Transport::Udp).length();
    assert!(out.contains(&format!("(127.86.1.1) with {length} hits, twice for the door seen")), "{out}");
    let heard: Vec<usize> = ears.iter().map(|ear| std::iter::from_fn(|| ear.recv(&mut [0; 8]).ok()).count()).collect();
    assert!(heard.iter().all(|count| [0, 2].contains(count)), "{heard:?}");
    assert_eq!(heard.iter().filter(|count| **count == 2).count(), length);
}

#[test]
fn it_returns_when_the_port_answers() {
    let scene = Scene::new();
    // Nobody else's: other tests listen to what comes.
    let profile = scene.folder.join("config/profiles/home.toml");
    let text = fs::read_to_string(&profile).unwrap().replace("127.86.1.1", "127.86.1.2");
    fs::write(&profile, text).unwrap();
    let door = TcpListener::bind("127.86.1.2:0").unwrap();
    let port = door.local_addr().unwrap().port();
    for line in ["knock-encoded home/seen", "open home/ssh --via encoded --allow 203.0.113.7"] {
        let (code, out, err) = scene.run(&format!("{line} --wait tcp/{port} --timeout 20s"));
        assert!(code == 0 && out.contains(&format!("127.86.1.2 answers at tcp/{port}")), "{out}{err}");
        door.accept().unwrap();
    }
    let opened = fs::read_to_string(scene.folder.join("state/opened.json")).unwrap();
    assert!(opened.contains("203.0.113.7") && opened.contains("observed"), "{opened}");
}

#[test]
fn a_rehearsal_sends_nothing_and_takes_no_number() {
    let scene = Scene::new();
    for line in [
        "knock-encoded home/ssh --allow 203.0.113.7 --port 22 --dry-run",
        "open home --via encoded --allow 203.0.113.7 --for 10m --dry-run",
    ] {
        let (code, out, err) = scene.run(line);
        assert_eq!(code, 0, "{err}");
        for told in ["Nothing is sent", "203.0.113.7", "right: by the key", "20", "tcp/40000-40255"] {
            assert!(out.contains(told), "{told}: {out}");
        }
        assert!(!out.contains(&scene.psk.text()[..8]));
    }
    assert!(!scene.folder.join("state/counters").exists());
}

#[test]
fn what_cannot_be_said_is_refused_with_what_to_do() {
    let scene = Scene::new();
    for (line, code, help) in [
        ("knock-encoded home/web --allow 203.0.113.7", 66, "encoded.\"web\" = {"),
        ("knock-encoded home/code", 64, "asks for a code"),
        ("knock-encoded home/other", 66, "knows no door other"),
        ("knock-encoded home/ssh", 64, "--allow ADDRESS"),
        ("knock-encoded home/ssh --allow 2001:db8::7", 64, "name IPv4 addresses"),
        ("knock-encoded home/ssh --allow 203.0.113.0/24", 64, "no field `net`"),
        ("knock-encoded home/ssh --allow auto", 78, "--allow ADDRESS"),
        ("knock-encoded home/seen --allow 203.0.113.7", 64, "leave out --allow"),
        ("knock-encoded home/seen --for 1h", 64, "no field `for`"),
        ("knock-encoded home/net --allow 2001:db8::7 --flag 1", 64, "no field `flag`"),
        ("knock-encoded home/ssh --ports 40000-40100", 64, "40000-40255"),
        ("knock-encoded home/ssh --fields adr", 64, "did you mean `addr`?"),
        ("knock-encoded home/ssh --flag 4", 64, "4 is not in 0..4"),
        ("knock-encoded home/seen --to-log -", 64, "--log-source ADDRESS"),
        ("open home/ssh --via encoded --code 123456", 64, "--code"),
    ] {
        let (found, out, err) = scene.run(line);
        assert!(found == code && out.is_empty() && err.contains(help), "{line}: {found} {out}{err}");
    }
    assert!(!scene.folder.join("state/counters").exists());
    let (code, out, err) = scene.run("knock-encoded home/web --allow 203.0.113.7 --ports 50000-50255 --to-log -");
    assert_eq!(code, 0, "{err}");
    let fields = Fields { whom: Whom::V4, port: false, hold: false, flags: false };
    let template = Template { span: Span::new(50_000, 50_255).unwrap(), transport: Transport::Tcp, fields };
    assert!(scene.claim("web", &template, &one_pass(&out, template.length())).is_some());
}
