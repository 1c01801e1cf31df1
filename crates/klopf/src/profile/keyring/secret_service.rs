//! The Secret Service of desktops on D-Bus (specifications.freedesktop.org/secret-service): GNOME Keyring, KWallet and others.
//!
//! Secrets go over the bus as they are (algorithm `plain`): who may listen there may ask the service itself.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rustbus::connection::ll_conn::force_finish_on_error;
use rustbus::connection::{Error as BusError, Timeout};
use rustbus::message_builder::MarshalledMessage;
use rustbus::wire::ObjectPath;
use rustbus::wire::unmarshal::traits::Variant;
use rustbus::{Marshal, MessageBuilder, MessageType, RpcConn, Signature, Unmarshal, standard_messages};
use zeroize::Zeroizing;

const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_OBJECT: &str = "/org/freedesktop/secrets";
const DEFAULT: &str = "/org/freedesktop/secrets/aliases/default";
const PROMPTS: &str = "type='signal',interface='org.freedesktop.Secret.Prompt',member='Completed'";
/// The path of no prompt.
const NOTHING: &str = "/";
const PATIENCE: Duration = Duration::from_secs(110);

type Path = ObjectPath<String>;
/// Session, parameters, value and media type.
type Secret = (Path, Vec<u8>, Vec<u8>, String);

/// What a property of an item can be.
#[derive(Marshal, Unmarshal, Signature)]
enum Property {
    Text(String),
    Attributes(HashMap<String, String>),
}

pub(super) fn put(name: &str, label: &str, secret: &str) -> Result<(), String> {
    let mut service = Service::open()?;
    service.unlock(vec![path(DEFAULT)?])?;
    let value = Zeroizing::new(secret.as_bytes().to_vec());
    let properties = HashMap::from([
        ("org.freedesktop.Secret.Item.Label", Property::Text(label.to_owned())),
        ("org.freedesktop.Secret.Item.Attributes", Property::Attributes(attributes(name))),
    ]);
    let mut call = call(DEFAULT, "org.freedesktop.Secret.Collection", "CreateItem");
    let secret = (service.session.clone(), Vec::<u8>::new(), value.as_slice(), "text/plain");
    call.body.push_param3(properties, secret, true).map_err(told)?;
    let reply = service.ask(call)?;
    let (_, prompt) = reply.body.parser().get2::<Path, Path>().map_err(told)?;
    service.prompted(&prompt)
}

pub(super) fn get(name: &str) -> Result<Option<Zeroizing<String>>, String> {
    let mut service = Service::open()?;
    let mut search = call(SERVICE_OBJECT, "org.freedesktop.Secret.Service", "SearchItems");
    search.body.push_param(attributes(name)).map_err(told)?;
    let reply = service.ask(search)?;
    let (open, locked) = reply.body.parser().get2::<Vec<Path>, Vec<Path>>().map_err(told)?;
    if open.is_empty() && !locked.is_empty() {
        service.unlock(locked.clone())?;
    }
    let Some(item) = open.into_iter().chain(locked).next() else { return Ok(None) };
    let mut ask = call(item.as_ref(), "org.freedesktop.Secret.Item", "GetSecret");
    ask.body.push_param(service.session.clone()).map_err(told)?;
    let reply = service.ask(ask)?;
    let (_, _, value, _) = reply.body.parser().get::<Secret>().map_err(told)?;
    let value = Zeroizing::new(value);
    let text = std::str::from_utf8(&value).map_err(|_| "what it has is not text".to_owned())?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

fn attributes(name: &str) -> HashMap<String, String> {
    let pairs = [("xdg:schema", "org.freedesktop.Secret.Generic"), ("application", "klopf"), ("device", name)];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// A session with the service.
struct Service {
    bus: RpcConn,
    session: Path,
    until: Instant,
}

impl Service {
    fn open() -> Result<Self, String> {
        let until = Instant::now() + PATIENCE;
        let mut bus = RpcConn::session_conn(Timeout::Duration(PATIENCE)).map_err(|error| match error {
            BusError::NoAddressFound => "no desktop session is running: DBUS_SESSION_BUS_ADDRESS is not set".to_owned(),
            error => format!("the session bus does not answer: {error}"),
        })?;
        bus.set_filter(Box::new(|message| {
            message.typ != MessageType::Signal || message.dynheader.member.as_deref() == Some("Completed")
        }));
        let mut service = Self { bus, session: path(NOTHING)?, until };
        service.ask(standard_messages::add_match(PROMPTS))?;
        let mut open = call(SERVICE_OBJECT, "org.freedesktop.Secret.Service", "OpenSession");
        open.body.push_param2("plain", Property::Text(String::new())).map_err(told)?;
        let reply = service.ask(open)?;
        let (_, session) = reply.body.parser().get2::<Variant<'_, '_>, Path>().map_err(told)?;
        service.session = session;
        Ok(service)
    }

    fn unlock(&mut self, objects: Vec<Path>) -> Result<(), String> {
        let mut unlock = call(SERVICE_OBJECT, "org.freedesktop.Secret.Service", "Unlock");
        unlock.body.push_param(objects).map_err(told)?;
        let reply = self.ask(unlock)?;
        let (_, prompt) = reply.body.parser().get2::<Vec<Path>, Path>().map_err(told)?;
        self.prompted(&prompt)
    }

    /// Has the person asked, if that is needed.
    fn prompted(&mut self, prompt: &Path) -> Result<(), String> {
        if prompt.as_ref() == NOTHING {
            return Ok(());
        }
        let mut show = call(prompt.as_ref(), "org.freedesktop.Secret.Prompt", "Prompt");
        show.body.push_param("").map_err(told)?;
        self.ask(show)?;
        loop {
            let signal = self.bus.wait_signal(self.left()).map_err(told)?;
            if signal.dynheader.object.as_deref() != Some(prompt.as_ref()) {
                continue;
            }
            return match signal.body.parser().get::<bool>().map_err(told)? {
                false => Ok(()),
                true => Err("it was not unlocked".to_owned()),
            };
        }
    }

    fn ask(&mut self, mut message: MarshalledMessage) -> Result<MarshalledMessage, String> {
        let left = self.left();
        let sent = self.bus.send_message(&mut message).map_err(told)?;
        let serial = sent.write(left).map_err(force_finish_on_error).map_err(told)?;
        let reply = self.bus.wait_response(serial, self.left()).map_err(told)?;
        match reply.dynheader.error_name.as_deref() {
            None => Ok(reply),
            Some("org.freedesktop.DBus.Error.ServiceUnknown") => {
                Err("no keyring runs in this session, such as GNOME Keyring or KWallet".to_owned())
            }
            // The service's own words could tell anything.
            Some(name) => Err(format!("it refuses: {}", name.escape_debug())),
        }
    }

    fn left(&self) -> Timeout {
        Timeout::Duration(self.until.saturating_duration_since(Instant::now()))
    }
}

fn call(object: &str, interface: &str, method: &str) -> MarshalledMessage {
    MessageBuilder::new().call(method).with_interface(interface).on(object).at(SERVICE).build()
}

fn path(text: &str) -> Result<Path, String> {
    ObjectPath::new(text.to_owned()).map_err(told)
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
