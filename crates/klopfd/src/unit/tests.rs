//! Against a bus of their own, with a small systemd on it.

use std::io::{BufRead, BufReader, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::*;

const TIME: Duration = Duration::from_secs(10);

/// A bus, until it is dropped.
struct Bus {
    daemon: Child,
    address: String,
    directory: PathBuf,
}

impl Bus {
    /// None, with a line that says so, where there is no dbus-daemon.
    fn start(name: &str) -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("klopf-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (socket, settings) = (directory.join("bus"), directory.join("bus.conf"));
        let rules = format!(
            "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
             <allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>",
            socket.display()
        );
        std::fs::write(&settings, rules).unwrap();
        let started = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1", "--config-file"])
            .arg(&settings)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut daemon = match started {
            Ok(daemon) => daemon,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::fs::remove_dir_all(&directory).unwrap();
                eprintln!("skipped: there is no dbus-daemon here");
                return None;
            }
            Err(error) => panic!("dbus-daemon does not start: {error}"),
        };
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Some(Self { daemon, address: address.trim().to_owned(), directory })
    }

    fn connect(&self) -> RpcConn {
        Asking::begin(&self.address, TIME).unwrap().bus
    }

    fn carry_out(&self, wish: Wish, unit: &str) -> Result<(), String> {
        carry_out(wish, unit, &self.address, TIME).map_err(|why| why.to_string())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn send(bus: &mut RpcConn, mut message: MarshalledMessage) -> u32 {
    bus.send_message(&mut message).unwrap().write_all().map_err(force_finish_on_error).unwrap()
}

/// Answers as systemd would, until its bus is gone. The result of a job is the first part of the unit's name.
fn play_systemd(mut bus: RpcConn) {
    let serial = send(&mut bus, standard_messages::request_name(SYSTEMD, 0));
    bus.wait_response(serial, Timeout::Duration(TIME)).unwrap();
    std::thread::spawn(move || {
        let mut jobs = 0;
        while let Ok(call) = bus.wait_call(Timeout::Infinite) {
            let method = call.dynheader.member.as_deref().unwrap();
            let mut reply = call.dynheader.make_response();
            if method == "Subscribe" {
                send(&mut bus, reply);
                continue;
            }
            let (unit, mode): (&str, &str) = call.body.parser().get2().unwrap();
            assert_eq!((mode, method == "StopUnit"), ("replace", unit.ends_with("-stop.service")));
            let result = unit.split(['.', '-']).next().unwrap();
            if let "AccessDenied" | "NoSuchUnit" | "UnitMasked" = result {
                refuse(&bus, &call, &format!("org.freedesktop.systemd1.{result}"), &format!("about\n{unit}"));
                continue;
            }
            jobs += 2;
            reply.body.push_param(ObjectPath::new(job(jobs)).unwrap()).unwrap();
            // The job of somebody else ends in between, and one's own before its reply.
            for (number, result) in [(jobs - 1, "canceled"), (jobs, result)] {
                let mut removed = MessageBuilder::new().signal(MANAGER, "JobRemoved", SYSTEMD_OBJECT).build();
                let path = ObjectPath::new(job(number)).unwrap();
                removed.body.push_param4(number, path, unit, result).unwrap();
                if result != "never" {
                    send(&mut bus, removed);
                }
            }
            send(&mut bus, reply);
        }
    });
}

/// An error, byte by byte: the library leaves its name out.
fn refuse(bus: &RpcConn, call: &MarshalledMessage, name: &str, text: &str) {
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let padded = |mut bytes: Vec<u8>| {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let string = |text: &str| [&number(text.len()), text.as_bytes(), &[0]].concat();
    let field = |code: u8, kind: u8, value: &[u8]| padded([&[code, 1, kind, 0], value].concat());
    let serial = call.dynheader.serial.unwrap().to_le_bytes();
    let fields = [
        field(4, b's', &string(name)),
        field(5, b'u', &serial),
        field(6, b's', &string(call.dynheader.sender.as_deref().unwrap())),
        [8, 1, b'g', 0, 1, b's', 0].to_vec(),
    ]
    .concat();
    let body = string(text);
    let fixed = [*b"l\x03\0\x01", number(body.len()), number(1 << 20), number(fields.len())].concat();
    let message = [padded([fixed, fields].concat()), body].concat();
    assert_eq!(nix::unistd::write(bus.conn().as_raw_fd(), &message), Ok(message.len()));
}

fn job(number: u32) -> String {
    format!("{SYSTEMD_OBJECT}/job/{number}")
}

#[test]
fn units_are_started_and_stopped_and_what_fails_is_said() {
    let Some(bus) = Bus::start("units") else { return };
    let absent = bus.carry_out(Wish::Start, "done.service").unwrap_err();
    assert!(absent.starts_with("systemd is not on the system bus; without systemd, use on-open"), "{absent}");
    play_systemd(bus.connect());
    assert_eq!(bus.carry_out(Wish::Start, "done.service"), Ok(()));
    assert_eq!(bus.carry_out(Wish::Start, "skipped.service"), Ok(()));
    assert_eq!(bus.carry_out(Wish::Stop, "done-stop.service"), Ok(()));
    for (unit, expected) in [
        ("failed.service", "systemd says failed; see systemctl status"),
        ("dependency.service", "systemd says dependency; see systemctl status"),
        ("NoSuchUnit.service", "systemd has no unit of that name; see systemctl list-unit-files"),
        ("AccessDenied.service", "systemd does not allow it; run klopfd as root, or let its user manage units"),
        ("UnitMasked.service", "systemd refuses: about UnitMasked.service"),
    ] {
        assert_eq!(bus.carry_out(Wish::Start, unit), Err(expected.to_owned()));
    }
    let late = carry_out(Wish::Start, "never.service", &bus.address, Duration::from_millis(200));
    assert!(matches!(late, Err(Trouble::TooSlow)), "{late:?}");
}

#[test]
fn without_a_bus_it_says_so() {
    let none = carry_out(Wish::Start, "ssh.service", "unix:path=/nowhere/at/all", TIME).unwrap_err().to_string();
    let expected = "cannot reach the system bus: unix:path=/nowhere/at/all: No such file or directory; without systemd";
    assert!(none.starts_with(expected), "{none}");
    let other = carry_out(Wish::Start, "ssh.service", "tcp:host=localhost", TIME).unwrap_err().to_string();
    assert!(other.contains("tcp:host=localhost is no address of a UNIX socket"), "{other}");
}

#[test]
fn a_bus_that_says_nothing_is_not_waited_for() {
    let name = format!("klopf-silent-{}", std::process::id());
    let silent = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let waited = carry_out(Wish::Start, "ssh.service", &format!("unix:abstract={name}"), Duration::from_millis(50));
    std::mem::forget(silent); // the library would read on and on from a bus that has gone meanwhile
    assert!(matches!(waited, Err(Trouble::TooSlow)), "{waited:?}");
}

#[test]
fn addresses_are_taken_apart() {
    assert_eq!(socket_path(SYSTEM_BUS), Some("/run/dbus/system_bus_socket"));
    assert_eq!(socket_path("tcp:host=x;unix:guid=1,path=/a"), Some("/a"));
    assert_eq!((socket_path("unix:abstract=b"), value("unix:abstract=b", "abstract")), (None, Some("b")));
    assert!(main(&["start"]).is_none() && main(&["restart", "ssh.service"]).is_none());
}
