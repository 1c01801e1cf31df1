//! Answers to the text of a `klopf.toml`.

use super::answers::{Answers, Firewall, How, Log, Mailbox, Place, Span};

/// The file has fewer lines.
#[cfg(test)]
pub(super) const MOST_LINES: usize = 30;
/// And none of them is longer, in characters, but for what cannot be broken: an address or a path.
pub(super) const WIDTH: usize = 100;

/// Before the further lines of a list.
const INDENT: &str = "  ";

/// What the firewall's rule puts before its lines.
const PREFIX: &str = "KNOCK ";

/// The whole file.
pub(super) fn text(answers: &Answers) -> String {
    let mut text = String::from(
        "# Made by klopf setup; man klopf.toml has every key. After a change: klopf check, klopf reload.\n\
         # Locked out? On the console: klopf unlock\n\n",
    );
    if let How::Log(Log::Firewall { .. }) = &answers.how {
        text.push_str("[daemon]\nsources = [\"log\"]  # no packet is read, so klopfd needs no right to\n\n");
    }
    door(answers, &mut text);
    source(&answers.how, &mut text);
    text
}

fn door(answers: &Answers, text: &mut String) {
    push(
        text,
        &[&format!("[door.{}]", answers.door()), "# Closed to the world; connections that are up are never cut."],
    );
    let guard: Vec<String> = answers.guard.iter().map(ToString::to_string).collect();
    list("guard", &guard, text);
    how(&answers.how, text);
    push(text, &["# How long new connections may come. Those that are up stay up."]);
    push(text, &[&format!("open-for = {}", quoted(&answers.stay.open_for))]);
    if answers.stay.extend {
        push(text, &["extend-while-connected = true  # the time goes on while a connection is up"]);
    }
    let dies = match answers.dies.open {
        false => ["# If klopfd dies, nobody new gets in until it runs again.", "if-klopfd-dies = \"stay-closed\""],
        true => {
            ["# If klopfd dies, it is open to all within 15 s, until klopfd runs again.", "if-klopfd-dies = \"open\""]
        }
    };
    push(text, &dies);
    if !answers.dies.always_allow.is_empty() {
        push(text, &["# Never shut out, with klopfd or without it."]);
        list("always-allow", &answers.dies.always_allow, text);
    }
}

/// The lines of the door that say how.
fn how(how: &How, text: &mut String) {
    const KEYS: &str = "keys = [\"*\"]";
    match how {
        How::Packet => {
            push(text, &["# One sealed packet opens it, of whoever has been invited: klopf invite NAME.", KEYS])
        }
        How::Sequence(hits) => {
            push(text, &["# Hit one after the other they open it. Whoever reads them off the wire knows them."]);
            let hits: Vec<String> = hits.iter().map(hit).collect();
            list("sequence", &hits, text);
        }
        How::Encoded(span) => {
            push(text, &["# For whoever has been invited: klopf invite NAME.", KEYS]);
            encoded(*span, text);
        }
        How::Mail(_) => {
            push(text, &["# A mail opens it, and a packet: of whoever has been invited, klopf invite NAME.", KEYS])
        }
        How::Guestbook(_) => {
            push(text, &["# An entry opens it, and a packet: of whoever has been invited, klopf invite NAME.", KEYS]);
        }
        How::Log(Log::Firewall { span, .. }) => {
            // Of packets nothing is heard, so nobody is to be told of them.
            push(text, &["keys = [\"*\"]  # whoever has been invited: klopf invite NAME --reusable"]);
            push(text, &["via = [\"log\"]"]);
            encoded(*span, text);
        }
        How::Log(Log::Web { .. }) => {
            push(text, &["# A token in a request opens it, and a packet: of whoever has been invited.", KEYS]);
        }
    }
}

fn encoded(span: Span, text: &mut String) {
    push(text, &["# Hits on these ports spell a sealed knock: for which address, port and how long."]);
    let ports = format!("{}-{}", span.first, span.last());
    push(text, &[&format!("encoded = {{ ports = \"{ports}\", fields = [\"addr\", \"port\", \"for\"] }}")]);
}

/// The section of a mailbox, guestbook or log.
fn source(how: &How, text: &mut String) {
    match how {
        How::Packet | How::Sequence(_) | How::Encoded(_) => {}
        How::Mail(Mailbox::Imap { url, password_file }) => push(
            text,
            &[
                "\n[mail.knock]\n# Best a mailbox of its own. The password is in the first line of the file (chmod 600).",
                &format!("imap = {}", quoted(url)),
                &format!("password-file = {}", quoted(password_file)),
                "# What becomes of a mail that has opened.\ntaken = \"delete\"",
            ],
        ),
        How::Mail(Mailbox::Maildir(path)) => {
            push(
                text,
                &[
                    "\n[mail.knock]\n# Where a mail program of this host puts mails.",
                    &format!("maildir = {}", quoted(path)),
                ],
            );
            push(text, &["# What becomes of a mail that has opened.\ntaken = \"delete\""]);
        }
        How::Guestbook(url) => {
            push(
                text,
                &[
                    "\n[guestbook.book]\n# A page to which anybody may write, or its feed.",
                    &format!("url = {}", quoted(url)),
                ],
            );
            push(text, &["# How often it is looked at.\nevery = \"60s\""]);
        }
        How::Log(Log::Firewall { firewall, place, span }) => {
            let [belongs, rule] = rule(*firewall, *span);
            push(text, &["\n[log.firewall]", &format!("# {belongs}"), &format!("#   {rule}")]);
            match place {
                Place::File(file) => push(text, &[&format!("file = {}", quoted(file))]),
                Place::Journal => push(text, &["journal = \"kernel\""]),
            }
            push(text, &[&format!("preset = \"{}\"", preset(*firewall)), &format!("prefix = \"{PREFIX}\"")]);
        }
        How::Log(Log::Web { file }) => {
            push(text, &["\n[log.web]\n# Any request will do: GET /?TOKEN. What the server answers does not matter."]);
            push(text, &[&format!("file = {}", quoted(file))]);
        }
    }
}

/// The firewall's rule that writes the hits down, below what says where it belongs.
pub(super) fn rule(firewall: Firewall, span: Span) -> [String; 2] {
    let (first, last) = (span.first, span.last());
    let iptables = format!("-p tcp --syn --dport {first}:{last} -j LOG --log-prefix \"{PREFIX}\"");
    let (place, rule) = match firewall {
        Firewall::Nft => (
            "In /etc/nftables.conf, first of all in the chain input of inet filter:",
            format!("tcp dport {first}-{last} tcp flags syn / syn,ack log prefix \"{PREFIX}\""),
        ),
        Firewall::Iptables => (
            "A rule writes the hits down, and must be there after a boot, too:",
            format!("iptables -I INPUT {iptables}"),
        ),
        // The rules that ufw makes by itself log too few hits in a minute.
        Firewall::Ufw => ("In /etc/ufw/before.rules, above COMMIT:", format!("-I ufw-before-input {iptables}")),
    };
    [place.to_owned(), rule]
}

fn preset(firewall: Firewall) -> &'static str {
    match firewall {
        Firewall::Nft => "nft",
        Firewall::Iptables => "iptables",
        Firewall::Ufw => "ufw",
    }
}

/// `23000/udp`, and TCP as a number alone.
pub(super) fn hit(port: &klopf_wire::Port) -> String {
    match port.proto {
        klopf_wire::Proto::Tcp => port.number.to_string(),
        klopf_wire::Proto::Udp => format!("{}/udp", port.number),
    }
}

fn push(text: &mut String, lines: &[&str]) {
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}

/// `key = ["a", "b"]`, over more lines where one is too short.
fn list(key: &str, values: &[String], text: &mut String) {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    let line = format!("{key} = [{}]", values.join(", "));
    let rows = crate::terminal::wrapped(&line, WIDTH - INDENT.len());
    push(text, &[&rows.join(&format!("\n{INDENT}"))]);
}

/// A text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
