//! Handing in a mail (RFC 6409).

use std::error::Error as _;
use std::time::Duration;

use klopf_config::client::{Password, Security, Smtp};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{Error as SmtpError, SmtpTransport};
use lettre::{Address, Message, Transport};
use zeroize::Zeroizing;

use super::Settings;
use crate::failure::{Failure, code};
use crate::profile::{keyring, random};

/// How long the server may take for each step.
const PATIENCE: Duration = Duration::from_secs(30);
/// By which the keyring knows the password, before the user's name.
const KEYRING: &str = "smtp:";
/// What a server says to a password that is wrong (RFC 4954, section 6).
const NO_LOGIN: u16 = 535;

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) to: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) body: &'a str,
}

/// Sends a mail by the server of the settings; it has taken it when this returns.
pub(crate) fn send(smtp: &Smtp, settings: &Settings, letter: &Letter<'_>) -> Result<(), Failure> {
    let message = message(smtp, letter)?;
    let mut builder =
        SmtpTransport::builder_dangerous(&*smtp.host).port(smtp.port).timeout(Some(PATIENCE)).tls(tls(smtp, settings)?);
    let mut asked = None;
    if let Some(user) = &smtp.user {
        let (password, new) = password(smtp, user, settings)?;
        builder = builder.credentials(Credentials::new(user.clone(), password.to_string()));
        asked = Some(password).filter(|_| new);
    }
    builder.build().send(&message).map_err(|error| failed(smtp, settings, &error))?;
    // Only one that was right is kept.
    if let (Some(password), Some(user), Password::Keyring) = (asked, &smtp.user, &smtp.password) {
        keyring::keep(&format!("{KEYRING}{user}"), &label(user), &password)?;
    }
    Ok(())
}

/// As any mail program would write it, and with no name of this device.
fn message(smtp: &Smtp, letter: &Letter<'_>) -> Result<Message, Failure> {
    let mailbox = |address: &str| {
        let parsed: Result<Address, _> = address.parse();
        parsed.map(|address| Mailbox::new(None, address)).map_err(|error| {
            Failure::new(code::USAGE, format_args!("no mail can go to or come from {address}: {error}"))
        })
    };
    let mut chance = [0; 16];
    random(&mut chance)?;
    let host = smtp.from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    let builder = Message::builder()
        .from(mailbox(&smtp.from)?)
        .to(mailbox(letter.to)?)
        .subject(letter.subject)
        .message_id(Some(format!("<{:032x}@{host}>", u128::from_be_bytes(chance))))
        .header(ContentType::TEXT_PLAIN);
    builder
        .body(letter.body.to_owned())
        .map_err(|error| Failure::new(code::DATA, format_args!("the mail cannot be written: {error}")))
}

fn tls(smtp: &Smtp, settings: &Settings) -> Result<Tls, Failure> {
    if smtp.security == Security::Plain {
        return Ok(Tls::None);
    }
    let unusable =
        |error: SmtpError| Failure::new(code::CONFIG, format_args!("no TLS with {}: {}", smtp.host, told(&error)));
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if let Some(file) = &smtp.ca_file {
        builder = builder.certificate_store(CertificateStore::None);
        builder = builder.add_root_certificate(Certificate::from_pem(&settings.certificates(file)?).map_err(unusable)?);
    }
    let parameters = builder.build_rustls().map_err(unusable)?;
    Ok(if smtp.security == Security::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

/// The password, and whether somebody was asked for it.
fn password(smtp: &Smtp, user: &str, settings: &Settings) -> Result<(Zeroizing<String>, bool), Failure> {
    match &smtp.password {
        Password::File(file) => return settings.password(file).map(|password| (password, false)),
        Password::Keyring => {
            if let Some(known) = keyring::word(&format!("{KEYRING}{user}"))? {
                return Ok((known, false));
            }
        }
        Password::Asked => {}
    }
    let typed = rpassword::prompt_password(format!("Password of {user} at {}: ", smtp.host)).map_err(|_| {
        let why = format_args!(
            "the mail server asks for a password; write `password-file = \"FILE\"` or `keyring = true` into {}, or be at a \
             terminal",
            settings.path().display()
        );
        Failure::new(code::CONFIG, why)
    })?;
    Ok((Zeroizing::new(typed), true))
}

/// What the keyring shows of the password.
fn label(user: &str) -> String {
    format!("Klopf: mail as {user}")
}

fn failed(smtp: &Smtp, settings: &Settings, error: &SmtpError) -> Failure {
    let Smtp { host, port, .. } = smtp;
    let why = told(error);
    if let Some(user) = smtp.user.as_ref().filter(|_| error.status().is_some_and(|code| u16::from(code) == NO_LOGIN)) {
        let password = match &smtp.password {
            Password::File(file) => format!("Is the password right, in {}?", settings.beside(file).display()),
            Password::Keyring => {
                format!(
                    "If the password is another one now, remove \"{}\" from the keyring; klopf then asks.",
                    label(user)
                )
            }
            Password::Asked => "Is the password right?".to_owned(),
        };
        let why = format_args!("the mail server {host} does not let {user} in: {why}\n{password}");
        return Failure::new(code::UNAVAILABLE, why);
    }
    if error.is_permanent() {
        return Failure::new(code::UNAVAILABLE, format_args!("the mail server {host} refuses: {why}"));
    }
    // What lettre says where a server has no STARTTLS.
    let hint = if smtp.security == Security::StartTls && error.is_client() {
        "\nWithout STARTTLS nothing is sent there; does it take smtps://?"
    } else {
        ""
    };
    Failure::new(
        code::UNAVAILABLE,
        format_args!("the mail server {host} port {port} did not take the mail: {why}{hint}"),
    )
}

/// The error and its causes, in one line that moves no cursor.
fn told(error: &SmtpError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.replace(char::is_control, " ")
}
