//! `start = "ssh.service"`: a helper that asks systemd over D-Bus to start or stop a unit, and waits until that is done.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::socket::UnixAddr;
use rustbus::connection::ll_conn::force_finish_on_error;
use rustbus::connection::{Error as BusError, Timeout};
use rustbus::message_builder::{HeaderFlags, MarshalledMessage};
use rustbus::wire::ObjectPath;
use rustbus::{MessageBuilder, MessageType, RpcConn, standard_messages};

/// The first argument by which the program knows that it is to ask systemd.
pub(crate) const ROLE: &str = "@unit";

/// How long a unit may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much longer a bus may be silent where the library does not look at the clock.
const GRACE: Duration = Duration::from_secs(1);

const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const SYSTEMD_OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const JOBS: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
                    interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// What is to become of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Start,
    Stop,
}

/// The helper's own work: `start NAME` or `stop NAME`, then perhaps the address of the bus. Exit status 1, after a line
/// that says why, if it was not done; none if it is called wrongly.
pub(crate) fn main(arguments: &[&str]) -> Option<ExitCode> {
    let (&verb, &unit, address) = match arguments {
        [verb, unit] => (verb, unit, bus_address()),
        [verb, unit, address] => (verb, unit, (*address).to_owned()),
        _ => return None,
    };
    let wish = [Wish::Start, Wish::Stop].into_iter().find(|wish| wish.verb() == verb)?;
    klopf_sys::set_name(c"klopf-unit");
    let Err(why) = carry_out(wish, unit, &address, PATIENCE) else { return Some(ExitCode::SUCCESS) };
    crate::say(&format!("cannot {verb} {unit}: {why}"));
    Some(ExitCode::FAILURE)
}

/// The command that runs this helper, for the gate. Its environment is clean, so an unusual bus is named.
pub(crate) fn command(wish: Wish, unit: &str) -> Vec<OsString> {
    let words = ["/proc/self/exe", ROLE, wish.verb(), unit].map(OsString::from);
    words.into_iter().chain(unusual_bus().map(OsString::from)).collect()
}

/// Whether systemd manages this host's services and can be asked.
pub(crate) fn available() -> bool {
    // As sd_booted(3).
    let booted = Path::new("/run/systemd/system").is_dir();
    booted && socket_path(&bus_address()).is_none_or(|path| Path::new(path).exists())
}

impl Wish {
    fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
        }
    }
}

/// Why it was not done, and what to do.
#[derive(Debug)]
enum Trouble {
    NoBus(String),
    NoSystemd,
    Denied,
    NotFound,
    /// In systemd's words.
    Refused(String),
    /// The result of the job.
    Job(String),
    TooSlow,
    Broken(BusError),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ELSE: &str = "without systemd, use on-open and on-close in place of start";
        match self {
            Self::NoBus(why) => write!(f, "cannot reach the system bus: {why}; {ELSE}"),
            Self::NoSystemd => write!(f, "systemd is not on the system bus; {ELSE}"),
            Self::Denied => write!(f, "systemd does not allow it; run klopfd as root, or let its user manage units"),
            Self::NotFound => write!(f, "systemd has no unit of that name; see systemctl list-unit-files"),
            Self::Refused(why) => write!(f, "systemd refuses: {}", line(why)),
            Self::Job(result) => write!(f, "systemd says {}; see systemctl status", line(result)),
            Self::TooSlow => {
                write!(
                    f,
                    "not done after {} seconds, systemd goes on by itself; see systemctl status",
                    PATIENCE.as_secs()
                )
            }
            Self::Broken(error) => write!(f, "the system bus does not work: {}", plain(error)),
        }
    }
}

/// The library's words, or the system's where it has none of its own.
fn plain(error: &BusError) -> String {
    match error {
        BusError::NixError(number) => number.desc().to_owned(),
        error => line(&error.to_string()),
    }
}

/// Bounded, and on one line.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

impl From<BusError> for Trouble {
    fn from(error: BusError) -> Self {
        match error {
            BusError::TimedOut => Self::TooSlow,
            error => Self::Broken(error),
        }
    }
}

fn unusual_bus() -> Option<String> {
    std::env::var("DBUS_SYSTEM_BUS_ADDRESS").ok().filter(|address| !address.is_empty())
}

fn bus_address() -> String {
    unusual_bus().unwrap_or_else(|| SYSTEM_BUS.to_owned())
}

/// The socket in the file system; none if it is an abstract one.
fn socket_path(address: &str) -> Option<&str> {
    value(address, "path")
}

/// The value of a key in the first address of a list that is a UNIX socket.
fn value<'a>(addresses: &'a str, key: &str) -> Option<&'a str> {
    let pairs = addresses.split(';').find_map(|address| address.strip_prefix("unix:"))?;
    pairs.split(',').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key)).map(|(_, value)| value)
}

/// The library waits without a limit while it greets the bus, so this is done aside.
fn carry_out(wish: Wish, unit: &str, address: &str, patience: Duration) -> Result<(), Trouble> {
    let (done, result) = mpsc::channel();
    let (unit, address) = (unit.to_owned(), address.to_owned());
    std::thread::spawn(move || {
        let outcome = Asking::begin(&address, patience).and_then(|mut asking| asking.carry_out(wish, &unit));
        done.send(outcome)
    });
    result.recv_timeout(patience + GRACE).unwrap_or(Err(Trouble::TooSlow))
}

struct Asking {
    bus: RpcConn,
    until: Instant,
}

impl Asking {
    fn begin(address: &str, patience: Duration) -> Result<Self, Trouble> {
        let until = Instant::now() + patience;
        let socket = match (socket_path(address), value(address, "abstract")) {
            (Some(path), _) => UnixAddr::new(path),
            (None, Some(name)) => UnixAddr::new_abstract(name.as_bytes()),
            (None, None) => return Err(Trouble::NoBus(format!("{} is no address of a UNIX socket", line(address)))),
        };
        let bus =
            socket.map_err(BusError::from).and_then(|to| RpcConn::connect_to_path(to, Timeout::Duration(patience)));
        match bus {
            Ok(bus) => Ok(Self { bus, until }),
            Err(BusError::TimedOut) => Err(Trouble::TooSlow),
            Err(error) => Err(Trouble::NoBus(format!("{}: {}", line(address), plain(&error)))),
        }
    }

    fn carry_out(&mut self, wish: Wish, unit: &str) -> Result<(), Trouble> {
        // Before the job, which may be done before its reply is read.
        self.bus.set_filter(Box::new(|message| {
            message.typ != MessageType::Signal || message.dynheader.member.as_deref() == Some("JobRemoved")
        }));
        self.call(standard_messages::add_match(JOBS))?;
        self.call(manager("Subscribe"))?;
        let mut call = manager(wish.method());
        call.body.push_param2(unit, "replace").map_err(BusError::from)?;
        let reply = self.call(call)?;
        let job: ObjectPath<&str> = reply.body.parser().get().map_err(BusError::from)?;
        let result = self.result_of(job.as_ref())?;
        if matches!(result.as_str(), "done" | "skipped") { Ok(()) } else { Err(Trouble::Job(result)) }
    }

    fn result_of(&mut self, job: &str) -> Result<String, Trouble> {
        loop {
            let signal = self.bus.wait_signal(self.left())?;
            let told = signal.body.parser().get4::<u32, ObjectPath<&str>, &str, &str>();
            let (_, path, _, result) = told.map_err(BusError::from)?;
            if path.as_ref() == job {
                return Ok(result.to_owned());
            }
        }
    }

    fn call(&mut self, mut message: MarshalledMessage) -> Result<MarshalledMessage, Trouble> {
        let left = self.left();
        let serial = self.bus.send_message(&mut message)?.write(left).map_err(force_finish_on_error)?;
        let reply = self.bus.wait_response(serial, self.left())?;
        let Some(name) = reply.dynheader.error_name.as_deref() else { return Ok(reply) };
        Err(match name.rsplit('.').next().unwrap_or_default() {
            "ServiceUnknown" | "NameHasNoOwner" => Trouble::NoSystemd,
            "AccessDenied" | "InteractiveAuthorizationRequired" => Trouble::Denied,
            "NoSuchUnit" => Trouble::NotFound,
            _ => Trouble::Refused(reply.body.parser().get::<&str>().unwrap_or(name).to_owned()),
        })
    }

    fn left(&self) -> Timeout {
        Timeout::Duration(self.until.saturating_duration_since(Instant::now()))
    }
}

/// A call of systemd's manager; nobody is started to answer it.
fn manager(method: &str) -> MarshalledMessage {
    let mut call = MessageBuilder::new().call(method).with_interface(MANAGER).on(SYSTEMD_OBJECT).at(SYSTEMD).build();
    HeaderFlags::NoAutoStart.set(&mut call.flags);
    call
}

#[cfg(test)]
mod tests;
