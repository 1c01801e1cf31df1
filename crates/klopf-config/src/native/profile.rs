//! A client's profile: where a server is, which doors there are, and the keys to them.
//!
//! No fault shows a key: whatever may be one is masked, in the line that is shown and in what is said of it.

mod books;
mod sequences;

use std::fmt::Write;
use std::net::IpAddr;

use klopf_spa::{EncodedDoor, KeyError, Name, PacketPort, Psk, Seed, ServerPublic, Shape, Way};
use toml::de::DeTable;
use zeroize::Zeroizing;

use super::encoded;
use super::report::{Report, Value, Wrong, in_order};
use crate::suggest::listed;
use crate::{Fault, Faults};

/// A longer file is not read, in bytes.
const LONGEST_FILE: usize = 1 << 16;
/// Endpoints and doors, at most.
const MOST: usize = 32;
/// The port of STUN (RFC 8489).
const STUN_PORT: u16 = 3478;
/// Stands for a key that is kept elsewhere.
const KEYRING: &str = "keyring";

const KEYS: [&str; 17] = [
    "endpoints",
    "doors",
    "code-doors",
    "door",
    "allow",
    "stun",
    "port",
    "shape",
    "clock",
    "bound",
    "mail",
    "books",
    "encoded",
    "device",
    "server",
    "private",
    "psk",
];
/// The keys whose lines hold no secret.
const HARMLESS: usize = 13;

/// All that a client knows of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Where it is: names or addresses, the first one first. 1 to 32.
    pub endpoints: Vec<String>,
    /// What may be opened. 1 to 32.
    pub doors: Vec<Name>,
    /// Those of them that ask for a code.
    pub code_doors: Vec<Name>,
    /// Which of them is opened when none is named.
    pub door: Name,
    /// Whom to let in, unless told otherwise.
    pub allow: Allow,
    /// A STUN server: name or address, and port.
    pub stun: Option<(String, u16)>,
    /// How packets are sent.
    pub way: Way,
    /// Whether this device's clock counts.
    pub clock: bool,
    /// Whether the key belongs to one device, whose number is part of what tokens are sealed with.
    pub bound: bool,
    /// Where mails with tokens go: 3 to 254 printable ASCII characters with an `@` and no space.
    pub mail: Option<String>,
    /// The doors that take tokens from guestbooks in shares.
    pub books: Vec<Books>,
    /// The doors that take encoded sequences; of [`Profile::doors`], each once.
    pub encoded: Vec<EncodedDoor>,
    /// Which device this is.
    pub device: [u8; 16],
    /// The server's public key.
    pub server: ServerPublic,
    /// The secrets.
    pub keys: Keys,
}

/// How a token for a door is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    /// Which door; one of [`Profile::doors`].
    pub door: Name,
    /// So many shares make the token whole again, 2 to as many as there are guestbooks.
    pub shares: u8,
    /// The guestbooks as the server calls them, in the order of the shares; 2 to 8, each once.
    pub of: Vec<Name>,
}

/// Where the secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// In the profile.
    Here(Seed, Psk),
    /// In the desktop's keyring.
    Keyring,
}

/// Whom a door is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// The address from which the server sees the packet come.
    Observed,
    /// The address that a STUN server sees.
    Auto,
    /// This one.
    Address(IpAddr),
}

impl Allow {
    /// Reads `observed`, `auto` or an address that a lease can be for.
    ///
    /// # Errors
    /// What to write.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "observed" => Ok(Self::Observed),
            "auto" => Ok(Self::Auto),
            _ => {
                let address: IpAddr = text.parse().map_err(|_| "write observed, auto, or an address as 192.0.2.7")?;
                let address = address.to_canonical();
                let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
                if address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast {
                    return Err("nobody can be let in under this address");
                }
                Ok(Self::Address(address))
            }
        }
    }
}

/// Reads `HOST` or `HOST:PORT`, an IPv6 address with a port in brackets; 3478 is the port of STUN.
#[must_use]
pub fn stun_server(text: &str) -> Option<(String, u16)> {
    let bare = |host: &str| host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
    let whole = is_endpoint(text) && (!text.contains(':') || text.parse::<IpAddr>().is_ok());
    if whole {
        return Some((text.to_owned(), STUN_PORT));
    }
    let (host, port) = match text.strip_suffix(']') {
        Some(_) => (bare(text), STUN_PORT),
        None => {
            let (host, port) = text.rsplit_once(':')?;
            (bare(host), port.parse().ok().filter(|port| *port > 0)?)
        }
    };
    is_endpoint(&host).then_some((host, port))
}

/// Whether a text can be a host's name or address. What could be taken for an option or a pattern, or ends a line, is none.
#[must_use]
pub fn is_endpoint(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:%".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-')
}

/// Reads a profile. `file` is only for faults.
///
/// # Errors
/// Every fault with its place, and no key in any of them.
pub fn parse(file: &str, text: &[u8]) -> Result<Profile, Faults> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let shown = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
            let mut report = Report::new(file, &shown, false);
            let at = error.valid_up_to();
            report.fault(at..at + 1, Wrong::new("the file is not UTF-8 here", "save it as UTF-8"));
            return Err(masked(report.finish().0));
        }
    };
    let mut report = Report::new(file, text, false);
    let mut read = Read::default();
    if text.len() > LONGEST_FILE {
        report.fault(0..0, Wrong::new("the file is longer than 64 KiB", "join again: klopf join --force"));
    } else {
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            report.syntax(error.span().unwrap_or_default(), error.message(), document.get_ref());
        }
        read.table(document.get_ref(), &mut report);
    }
    let profile = read.complete(&mut report);
    match (profile, report.finish().0) {
        (Some(profile), faults) if faults.is_empty() => Ok(profile),
        (_, faults) => Err(masked(faults)),
    }
}

impl Profile {
    /// The file.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        // Long enough from the start, so that no copy of a key is left behind when it grows.
        let mut text = Zeroizing::new(String::with_capacity(LONGEST_FILE));
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let quoted = |text: &str| format!("\"{text}\"");
        let names = |names: &[Name]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let endpoints = self.endpoints.iter().map(|endpoint| quoted(endpoint)).collect::<Vec<_>>().join(", ");
        writeln!(out, "# Where the server is; tried in this order.\nendpoints = [{endpoints}]")?;
        writeln!(out, "# What may be opened, and what is opened when no door is named.")?;
        writeln!(out, "doors = [{}]\ndoor = \"{}\"", names(&self.doors), self.door)?;
        if !self.code_doors.is_empty() {
            writeln!(out, "# Doors that ask for a code of six digits.\ncode-doors = [{}]", names(&self.code_doors))?;
        }
        writeln!(out, "# Whom to let in: \"observed\" (where the packet comes from), \"auto\" (what the STUN server")?;
        let allow = match self.allow {
            Allow::Observed => "observed".to_owned(),
            Allow::Auto => "auto".to_owned(),
            Allow::Address(address) => address.to_string(),
        };
        writeln!(out, "# sees), or an address.\nallow = \"{allow}\"")?;
        match &self.stun {
            Some((host, port)) if host.contains(':') => writeln!(out, "stun = \"[{host}]:{port}\"")?,
            Some((host, port)) => writeln!(out, "stun = \"{host}:{port}\"")?,
            None => writeln!(out, "# stun = \"stun.example.net:3478\"")?,
        }
        writeln!(out, "\n# From here on all comes from the invitation.")?;
        match self.way.port {
            PacketPort::Fixed(port) => writeln!(out, "port = {port}")?,
            PacketPort::Hop => writeln!(out, "port = \"hop\"")?,
        }
        writeln!(out, "shape = \"{}\"\nclock = {}", self.way.shape.name(), self.clock)?;
        writeln!(out, "# Whether the key belongs to one device.\nbound = {}", self.bound)?;
        if let Some(mail) = &self.mail {
            writeln!(out, "# Where mails with tokens go.\nmail = {}", toml_text(mail))?;
        }
        if !self.books.is_empty() {
            writeln!(out, "# Doors for which a token is split, and the guestbooks for its shares.")?;
        }
        for Books { door, shares, of } in &self.books {
            writeln!(out, "books.\"{door}\" = {{ shares = {shares}, of = [{}] }}", names(of))?;
        }
        if !self.encoded.is_empty() {
            writeln!(out, "# Doors that take encoded sequences: on which ports, and what they say.")?;
        }
        for EncodedDoor { door, template } in &self.encoded {
            writeln!(out, "encoded.\"{door}\" = {}", encoded::text(template))?;
        }
        out.push_str("device = \"");
        self.device.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        writeln!(out, "\"\n\n# Keys. They are for nobody else.\nserver = \"{}\"", *self.server.text())?;
        match &self.keys {
            Keys::Here(seed, psk) => {
                writeln!(out, "private = \"{}\"\npsk = \"{}\"", *seed.text(), *psk.text())
            }
            Keys::Keyring => writeln!(out, "private = \"{KEYRING}\"\npsk = \"{KEYRING}\""),
        }
    }
}

/// A text as TOML has it.
fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A secret, or the word that says where it is.
enum Secret<T> {
    Here(T),
    Keyring,
}

/// What was found so far.
#[derive(Default)]
struct Read {
    endpoints: Vec<String>,
    doors: Vec<Name>,
    code_doors: Vec<Name>,
    door: Option<Name>,
    allow: Option<Allow>,
    stun: Option<(String, u16)>,
    port: Option<PacketPort>,
    shape: Option<Shape>,
    clock: Option<bool>,
    bound: Option<bool>,
    mail: Option<String>,
    books: Vec<Books>,
    encoded: Vec<EncodedDoor>,
    device: Option<[u8; 16]>,
    server: Option<ServerPublic>,
    private: Option<Secret<Seed>>,
    psk: Option<Secret<Psk>>,
    /// Keys that are there, sound or not.
    there: Vec<&'static str>,
}

impl Read {
    fn table(&mut self, table: &DeTable<'_>, report: &mut Report<'_>) {
        for (key, value) in in_order(table) {
            let Some(&name) = KEYS.iter().find(|name| key.get_ref() == **name) else {
                report.unknown_key(key, "a profile", &KEYS);
                continue;
            };
            self.there.push(name);
            match name {
                "endpoints" => self.endpoints = endpoints(value, report),
                "doors" => self.doors = doors(name, value, report),
                "code-doors" => self.code_doors = doors(name, value, report),
                "door" => {
                    self.door = door(name, value, report);
                    let unknown = self.door.as_ref().is_some_and(|door| !self.doors.contains(door));
                    if unknown && self.there.contains(&"doors") && !self.doors.is_empty() {
                        let known: Vec<&str> = self.doors.iter().map(|door| &**door).collect();
                        let help = format!("write one of {}", listed(&known));
                        report.fault(value.span(), Wrong::new("`door` is none of `doors`", help));
                    }
                }
                "allow" => self.allow = allow(value, report),
                "stun" => self.stun = stun(value, report),
                "port" => self.port = port(value, report),
                "shape" => self.shape = shape(value, report),
                "clock" => self.clock = report.boolean(name, value),
                "bound" => self.bound = report.boolean(name, value),
                "mail" => self.mail = mail(value, report),
                "books" => self.books = books::read(value, report),
                "encoded" => self.encoded = sequences::read(value, report),
                "device" => self.device = device(value, report),
                "server" => self.server = key_of(name, value, report, ServerPublic::parse),
                "private" => self.private = secret(name, value, report, Seed::parse),
                _ => self.psk = secret(name, value, report, Psk::parse),
            }
        }
        self.check_doors(table, report);
    }

    /// Doors that take shares or encoded sequences must be among the doors.
    fn check_doors(&self, table: &DeTable<'_>, report: &mut Report<'_>) {
        for word in ["books", "encoded"] {
            let named = table.get(word).and_then(|value| value.get_ref().as_table());
            let Some(named) = named.filter(|_| !self.doors.is_empty()) else { continue };
            for (key, _) in in_order(named) {
                if Name::new(key.get_ref()).is_some_and(|door| !self.doors.contains(&door)) {
                    let known: Vec<&str> = self.doors.iter().map(|door| &**door).collect();
                    let help = format!("write one of {}", listed(&known));
                    let text = format!("`{word}` names a door that is none of `doors`");
                    report.fault(key.span(), Wrong::new(text, help));
                }
            }
        }
    }

    fn complete(self, report: &mut Report<'_>) -> Option<Profile> {
        for name in ["endpoints", "doors", "port", "device", "server", "private", "psk"] {
            if !self.there.contains(&name) {
                let wrong =
                    Wrong::new(format!("`{name}` is missing"), "join again with the invitation: klopf join --force");
                report.missing(0..0, wrong);
            }
        }
        let keys = match (self.private?, self.psk?) {
            (Secret::Here(seed), Secret::Here(psk)) => Keys::Here(seed, psk),
            (Secret::Keyring, Secret::Keyring) => Keys::Keyring,
            _ => {
                let text = "one of `private` and `psk` is in the keyring and one is not";
                report.fault(0..0, Wrong::new(text, "join again with the invitation: klopf join --force"));
                return None;
            }
        };
        let door = self.door.or_else(|| self.doors.first().cloned())?;
        Some(Profile {
            endpoints: self.endpoints,
            doors: self.doors,
            code_doors: self.code_doors,
            door,
            allow: self.allow.unwrap_or(Allow::Observed),
            stun: self.stun,
            way: Way { port: self.port?, shape: self.shape.unwrap_or_default() },
            clock: self.clock.unwrap_or(true),
            bound: self.bound.unwrap_or_default(),
            mail: self.mail,
            books: self.books,
            encoded: self.encoded,
            device: self.device?,
            server: self.server?,
            keys,
        })
    }
}

/// The elements of a list that has some, and not too many.
fn some<'v, 'a>(key: &str, value: &'v Value<'a>, example: &str, report: &mut Report<'_>) -> Vec<&'v Value<'a>> {
    let elements = report.list(key, value, example).unwrap_or_default();
    if elements.len() > MOST {
        report.fault(value.span(), Wrong::new(format!("`{key}` has more than {MOST} elements"), "leave some out"));
        return Vec::new();
    }
    elements
}

fn endpoints(list: &Value<'_>, report: &mut Report<'_>) -> Vec<String> {
    const EXAMPLE: &str = r#"["server.example", "192.0.2.1"]"#;
    let mut found = Vec::new();
    for value in some("endpoints", list, EXAMPLE, report) {
        let Some(text) = report.string("endpoints", value, EXAMPLE) else { continue };
        if is_endpoint(text) {
            found.push(text.to_owned());
        } else {
            let wrong = Wrong::new(format!("`{text}` cannot be a host"), "write a name or an address, without a port");
            report.fault(value.span(), wrong);
        }
    }
    if list.get_ref().as_array().is_some_and(|array| array.is_empty()) {
        report.fault(list.span(), Wrong::new("`endpoints` names no host", format!("write `endpoints = {EXAMPLE}`")));
    }
    found
}

fn doors(key: &str, list: &Value<'_>, report: &mut Report<'_>) -> Vec<Name> {
    let example = r#"["ssh"]"#;
    let found = some(key, list, example, report).into_iter().filter_map(|value| door(key, value, report)).collect();
    if key == "doors" && list.get_ref().as_array().is_some_and(|array| array.is_empty()) {
        report.fault(list.span(), Wrong::new("`doors` names no door", "write `doors = [\"ssh\"]`"));
    }
    found
}

fn door(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<Name> {
    let text = report.string(key, value, "\"ssh\"")?;
    let help = "write 1 to 64 characters of A-Z a-z 0-9 _ . -";
    let name = Name::new(text).ok_or_else(|| Wrong::new(format!("`{text}` cannot be the name of a door"), help));
    report.checked(value.span(), name)
}

fn allow(value: &Value<'_>, report: &mut Report<'_>) -> Option<Allow> {
    let text = report.string("allow", value, "\"observed\"")?;
    let allow = Allow::parse(text).map_err(|help| Wrong::new(format!("`allow` cannot be `{text}`"), help));
    report.checked(value.span(), allow)
}

fn stun(value: &Value<'_>, report: &mut Report<'_>) -> Option<(String, u16)> {
    let example = r#""stun.example.net:3478""#;
    let text = report.string("stun", value, example)?;
    let wrong = || Wrong::new(format!("`{text}` is no STUN server"), format!("write it like `stun = {example}`"));
    report.checked(value.span(), stun_server(text).ok_or_else(wrong))
}

fn mail(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = report.string("mail", value, r#""knock@example.org""#)?;
    let wrong = || Wrong::new("`mail` is no address of a mailbox", "write it like `mail = \"knock@example.org\"`");
    report.checked(value.span(), is_mail(text).then(|| text.to_owned()).ok_or_else(wrong))
}

/// Whether a text can be the address of a mailbox, as an invitation has it (PROTOCOL.md, section 7).
#[must_use]
pub fn is_mail(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    (3..=254).contains(&text.len()) && plain && text.contains('@')
}

fn port(value: &Value<'_>, report: &mut Report<'_>) -> Option<PacketPort> {
    if value.get_ref().as_str() == Some("hop") {
        return Some(PacketPort::Hop);
    }
    if value.get_ref().as_integer().is_none() {
        report.mistyped("port", value, "a number or \"hop\"", "51900");
        return None;
    }
    report.integer("port", value, (1, 65_535), "51900").map(PacketPort::Fixed)
}

fn shape(value: &Value<'_>, report: &mut Report<'_>) -> Option<Shape> {
    report.choice("shape", value, Shape::ALL.map(|shape| (shape.name(), shape)))
}

fn device(value: &Value<'_>, report: &mut Report<'_>) -> Option<[u8; 16]> {
    let text = report.string("device", value, "\"00112233445566778899aabbccddeeff\"")?;
    let number = (text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten();
    let wrong =
        Wrong::new("`device` is not 32 hexadecimal digits", "join again with the invitation: klopf join --force");
    report.checked(value.span(), number.map(u128::to_be_bytes).ok_or(wrong))
}

fn key_of<T>(
    key: &str,
    value: &Value<'_>,
    report: &mut Report<'_>,
    parse: impl Fn(&str) -> Result<T, KeyError>,
) -> Option<T> {
    let text = report.string(key, value, "\"...\", as the invitation had it")?;
    let help = "join again with the invitation: klopf join --force";
    report.checked(value.span(), parse(text).map_err(|why| Wrong::new(format!("`{key}` is no key: {why}"), help)))
}

fn secret<T>(
    key: &str,
    value: &Value<'_>,
    report: &mut Report<'_>,
    parse: impl Fn(&str) -> Result<T, KeyError>,
) -> Option<Secret<T>> {
    if value.get_ref().as_str() == Some(KEYRING) {
        return Some(Secret::Keyring);
    }
    key_of(key, value, report, parse).map(Secret::Here)
}

/// Takes out of the faults whatever may be a key.
fn masked(mut faults: Vec<Fault>) -> Faults {
    let harmless = KEYS.get(..HARMLESS).unwrap_or_default();
    for fault in &mut faults {
        let line = fault.excerpt.trim_start();
        let is_harmless =
            |key: &&str| line.strip_prefix(*key).is_some_and(|behind| behind.trim_start().starts_with(['=', '.']));
        let shown = line.starts_with('#') || harmless.iter().any(is_harmless);
        let from = match fault.excerpt.find('=') {
            _ if shown => fault.excerpt.len(),
            Some(equals) => equals,
            None => 0,
        };
        fault.excerpt = without_keys(&hidden_from(&fault.excerpt, from));
        fault.text = without_keys(&fault.text);
        fault.help = without_keys(&fault.help);
    }
    Faults(faults)
}

/// Hides all from this byte on that could be part of a key; columns stay.
pub(super) fn hidden_from(line: &str, from: usize) -> String {
    let (before, behind) = line.split_at_checked(from).unwrap_or(("", line));
    let hide = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { '*' } else { c };
    before.chars().chain(behind.chars().map(hide)).collect()
}

/// Hides words that are as long as half a key.
fn without_keys(text: &str) -> String {
    const LONG: usize = 20;
    let in_key = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().map(Some).chain([None]) {
        match c.filter(|c| in_key(*c)) {
            Some(c) => word.push(c),
            None => {
                if word.len() >= LONG {
                    out.extend(word.chars().map(|_| '*'))
                } else {
                    out.push_str(&word)
                }
                word.clear();
                out.extend(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
