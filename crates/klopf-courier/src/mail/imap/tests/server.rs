//! IMAP servers of the tests, good and bad ones, on this host.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

trait Both: Read + Write + Send {}
impl<S: Read + Write + Send> Both for S {}

/// A connection, from the server's side.
pub(super) struct Talk(BufReader<Box<dyn Both>>);

/// What a server does with a connection.
pub(super) type Deed = Box<dyn FnOnce(Talk) + Send>;

/// Does something with each connection that comes; its port.
pub(super) fn serve(deeds: Vec<Deed>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for deed in deeds {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            deed(Talk(BufReader::new(Box::new(stream))));
        }
    });
    port
}

/// As [`serve`], by TLS, for `127.0.0.1`.
pub(super) fn serve_tls(deeds: Vec<Deed>) -> u16 {
    let secure = |deed: Deed| Box::new(move |talk: Talk| deed(talk.secure())) as Deed;
    serve(deeds.into_iter().map(secure).collect())
}

fn config() -> Arc<ServerConfig> {
    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("../../../guestbook/tests/tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../../guestbook/tests/tls/server.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(crate::tls::provider());
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}

impl Talk {
    pub(super) fn secure(self) -> Self {
        let tls = ServerConnection::new(config()).unwrap();
        Self(BufReader::new(Box::new(StreamOwned::new(tls, self.0.into_inner()))))
    }

    /// The client may be gone already.
    pub(super) fn say(&mut self, text: &str) -> &mut Self {
        let _ = self.0.get_mut().write_all(text.as_bytes());
        let _ = self.0.get_mut().flush();
        self
    }

    /// The next line; empty at the end.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        let _ = self.0.read_line(&mut line);
        line.trim_end().to_owned()
    }

    /// The next command's tag, and the command.
    pub(super) fn command(&mut self) -> (String, String) {
        let line = self.line();
        let (tag, command) = line.split_once(' ').unwrap_or_default();
        (tag.to_owned(), command.to_owned())
    }

    /// Waits until the client has gone.
    pub(super) fn end(&mut self) {
        let _ = std::io::copy(&mut self.0, &mut std::io::sink());
    }

    /// Lets anybody in who asks, until a mailbox is selected.
    pub(super) fn greet(&mut self, can: &str) -> &mut Self {
        self.say("* OK hello\r\n").let_in(can)
    }

    pub(super) fn let_in(&mut self, can: &str) -> &mut Self {
        loop {
            let (tag, command) = self.command();
            match command.split(' ').next().unwrap_or_default() {
                "" => return self,
                "CAPABILITY" => drop(self.say(&format!("* CAPABILITY IMAP4rev1 {can}\r\n"))),
                "AUTHENTICATE" => {
                    self.say("+ \r\n").line();
                }
                "SELECT" => {
                    self.say(&format!("* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n{tag} OK selected\r\n"));
                    return self;
                }
                _ => {}
            }
            self.say(&format!("{tag} OK done\r\n"));
        }
    }
}

/// A good server's mailbox.
#[derive(Clone, Default)]
pub(super) struct Store {
    mails: Arc<Mutex<BTreeMap<u32, Mail>>>,
    log: Arc<Mutex<Vec<String>>>,
}

struct Mail {
    text: String,
    flags: Vec<String>,
}

/// What happens while somebody listens.
pub(super) enum Event {
    /// A mail comes.
    Mail(&'static str),
    /// Nothing, until the client wants no more.
    Nothing,
    /// The connection is lost.
    Lost,
}

impl Store {
    pub(super) fn put(&self, uid: u32, text: &str) {
        let mail = Mail { text: format!("Subject: hi\r\n\r\n{text}\r\n"), flags: Vec::new() };
        self.mails.lock().unwrap().insert(uid, mail);
    }

    /// The mails that are there, with their flags.
    pub(super) fn there(&self) -> Vec<(u32, String)> {
        self.mails.lock().unwrap().iter().map(|(uid, mail)| (*uid, mail.flags.join(" "))).collect()
    }

    /// The commands since this was last asked.
    pub(super) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// Serves a connection, and says when somebody listens.
    pub(super) fn deed(&self, can: &'static str) -> (Deed, Sender<Event>, Receiver<()>) {
        let (sender, events) = channel();
        let (listens, listening) = channel();
        let store = self.clone();
        let deed = Box::new(move |mut talk: Talk| {
            talk.greet(can);
            loop {
                let (tag, command) = talk.command();
                if command.is_empty() || command == "LOGOUT" {
                    return;
                }
                store.log.lock().unwrap().push(command.clone());
                if command == "IDLE" {
                    talk.say("+ idling\r\n");
                    let _ = listens.send(());
                    match events.recv() {
                        Ok(Event::Mail(text)) => {
                            let uid = store.mails.lock().unwrap().keys().last().copied().unwrap_or(0) + 1;
                            store.put(uid, text);
                            talk.say(&format!("* {uid} EXISTS\r\n"));
                        }
                        Ok(Event::Nothing) => {}
                        Ok(Event::Lost) | Err(_) => return,
                    }
                    assert_eq!(talk.line(), "DONE");
                }
                let (untagged, end) = store.answer(&command, can);
                talk.say(&untagged).say(&format!("{tag} {end}\r\n"));
            }
        });
        (deed, sender, listening)
    }

    fn answer(&self, command: &str, can: &str) -> (String, &'static str) {
        let mut mails = self.mails.lock().unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        let uid = words.get(2).and_then(|word| word.parse().ok()).unwrap_or(0);
        match words.as_slice() {
            ["UID", "SEARCH", ..] => {
                let unseen = mails.iter().filter(|(_, mail)| mail.flags.is_empty()).map(|(uid, _)| format!(" {uid}"));
                (format!("* SEARCH{}\r\n", unseen.collect::<String>()), "OK")
            }
            ["UID", "FETCH", ..] => match mails.get(&uid) {
                Some(Mail { text, .. }) => {
                    let length = text.len();
                    (format!("* 1 FETCH (UID {uid} RFC822.SIZE {length} BODY[]<0> {{{length}}}\r\n{text})\r\n"), "OK")
                }
                None => (String::new(), "OK"),
            },
            ["UID", "STORE", _, "+FLAGS.SILENT", flag] => {
                mails.get_mut(&uid).unwrap().flags.push(flag.trim_matches(['(', ')']).to_owned());
                (String::new(), "OK")
            }
            ["UID", "EXPUNGE", _] if can.contains("UIDPLUS") => {
                assert!(mails.remove(&uid).unwrap().flags.contains(&"\\Deleted".to_owned()));
                (String::new(), "OK")
            }
            ["UID", "MOVE" | "COPY", _, "\"Knocks\""] if !self.made(command) => (String::new(), "NO [TRYCREATE] none"),
            ["UID", "MOVE", ..] if can.contains("MOVE") => (mails.remove(&uid).map(|_| String::new()).unwrap(), "OK"),
            ["UID", "COPY", ..] | ["CREATE", _] | ["NOOP"] | ["IDLE"] => (String::new(), "OK"),
            _ => (String::new(), "BAD what?"),
        }
    }

    fn made(&self, _: &str) -> bool {
        self.log.lock().unwrap().iter().any(|command| command == "CREATE \"Knocks\"")
    }
}
