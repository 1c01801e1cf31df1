//! What mails and guestbooks need besides `klopf.toml`: passwords, and certificates that are trusted.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use klopf_config::native::{Config, Mailbox};
use zeroize::Zeroizing;

use crate::is_exposed;

/// More is not read of a password's file, in bytes.
const LONGEST_PASSWORD: u64 = 4096;
/// And of certificates.
const LONGEST_CA: u64 = 1 << 20;
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// What the files of all mails and guestbooks hold.
#[derive(Debug, Default)]
pub struct SourceFiles {
    /// For each of [`Config::mails`], in their order.
    pub mails: Vec<Result<SourceFile, SourceTrouble>>,
    /// For each of [`Config::guestbooks`], in their order.
    pub guestbooks: Vec<Result<SourceFile, SourceTrouble>>,
    /// Files of passwords that others than their owner may read or write.
    pub exposed: Vec<PathBuf>,
}

/// What the files of one mail or guestbook hold. `Debug` does not show the password.
#[derive(Default)]
pub struct SourceFile {
    /// Of a mailbox on a server: the first line of its `password-file`, not empty.
    pub password: Option<Zeroizing<String>>,
    /// Certificates in PEM, at least one, and no private key.
    pub ca: Option<String>,
}

/// Why a mail or guestbook cannot be read: one of its files is of no use.
#[derive(Debug)]
pub struct SourceTrouble {
    /// `mail` or `guestbook`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The key that names the file: `password-file` or `ca-file`.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: Why,
    /// Where the file is. A path that is not absolute may be a password that was taken for one, and is not shown.
    shown: String,
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Why {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is a directory, a device or the like.
    NoFile,
    /// It is longer than such a file is.
    TooLong,
    /// It is not UTF-8, or has control characters where a password should be.
    NoText,
    /// Its first line has no password in it.
    NoPassword,
    /// No certificate is in it.
    NoCertificate,
    /// A private key is in it, which is not for the courier.
    PrivateKey,
}

impl SourceFiles {
    /// Reads the files that a configuration names. `main` is the path of its `klopf.toml`, beside which relative ones are.
    #[must_use]
    pub fn read(main: &Path, config: &Config) -> Self {
        let mut files = Self::default();
        for mail in &config.mails {
            let read = match &mail.mailbox {
                Mailbox::Imap(imap) => {
                    let reader = Reader { main, kind: "mail", name: &mail.name };
                    reader.read(Some(&imap.password_file), imap.ca_file.as_deref(), &mut files.exposed)
                }
                Mailbox::Maildir(_) => Ok(SourceFile::default()),
            };
            files.mails.push(read);
        }
        for book in &config.guestbooks {
            let reader = Reader { main, kind: "guestbook", name: &book.name };
            files.guestbooks.push(reader.read(None, book.ca_file.as_deref(), &mut files.exposed));
        }
        files
    }

    /// What is wrong, in order: mails, then guestbooks.
    pub fn troubles(&self) -> impl Iterator<Item = &SourceTrouble> {
        self.mails.iter().chain(&self.guestbooks).filter_map(|read| read.as_ref().err())
    }
}

impl SourceTrouble {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match (&self.why, self.key) {
            (Why::Unreadable(error), _) if error.kind() == io::ErrorKind::PermissionDenied => "run it as root",
            (Why::PrivateKey, _) => "leave only the certificates in it",
            (_, "ca-file") => "let it have certificates in PEM, or remove the line for those that this host trusts",
            _ => "let its first line be the password, for nobody but root to read: chmod 600",
        }
    }
}

impl fmt::Display for SourceTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, key, shown, .. } = self;
        write!(f, "{kind} `{name}` is not read: its `{key}` {shown}")?;
        match &self.why {
            Why::Unreadable(error) => write!(f, " cannot be read: {error}"),
            Why::NoFile => f.write_str(" is no file"),
            Why::TooLong => f.write_str(" is too long"),
            Why::NoText => f.write_str(" is no text"),
            Why::NoPassword => f.write_str(" has no password in its first line"),
            Why::NoCertificate => f.write_str(" has no certificate in it"),
            Why::PrivateKey => f.write_str(" has a private key in it"),
        }
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (password, ca) = (self.password.is_some(), self.ca.is_some());
        f.debug_struct("SourceFile").field("password", &password).field("ca", &ca).finish()
    }
}

/// One mail or guestbook.
struct Reader<'a> {
    main: &'a Path,
    kind: &'static str,
    name: &'a str,
}

impl Reader<'_> {
    fn read(
        &self,
        password: Option<&str>,
        ca: Option<&str>,
        exposed: &mut Vec<PathBuf>,
    ) -> Result<SourceFile, SourceTrouble> {
        let password = password.map(|path| {
            let text = self.text("password-file", path, LONGEST_PASSWORD, Some(exposed))?;
            first_line(&text).map_err(|why| self.trouble("password-file", path, why))
        });
        let ca = ca.map(|path| {
            let text = self.text("ca-file", path, LONGEST_CA, None)?;
            certificates(&text).map_err(|why| self.trouble("ca-file", path, why))
        });
        Ok(SourceFile { password: password.transpose()?, ca: ca.transpose()? })
    }

    fn text(
        &self,
        key: &'static str,
        path: &str,
        longest: u64,
        exposed: Option<&mut Vec<PathBuf>>,
    ) -> Result<Zeroizing<String>, SourceTrouble> {
        let place = self.place(path);
        let (text, is_exposed) = text_of(&place, longest).map_err(|why| self.trouble(key, path, why))?;
        if let Some(exposed) = exposed.filter(|exposed| is_exposed && !exposed.contains(&place)) {
            exposed.push(place);
        }
        Ok(text)
    }

    fn place(&self, path: &str) -> PathBuf {
        // An absolute path takes the place of what it is joined to.
        self.main.parent().unwrap_or_else(|| Path::new("")).join(path)
    }

    fn trouble(&self, key: &'static str, path: &str, why: Why) -> SourceTrouble {
        let shown = match Path::new(path).is_absolute() {
            true => path.to_owned(),
            false => format!("beside {}", self.main.display()),
        };
        SourceTrouble { kind: self.kind, name: self.name.to_owned(), key, path: self.place(path), why, shown }
    }
}

/// A file's text, and whether others may read it.
fn text_of(path: &Path, longest: u64) -> Result<(Zeroizing<String>, bool), Why> {
    // Looked at first: to open a pipe waits for who writes into it.
    if !fs::metadata(path).map_err(Why::Unreadable)?.is_file() {
        return Err(Why::NoFile);
    }
    let file = fs::File::open(path).map_err(Why::Unreadable)?;
    let metadata = file.metadata().map_err(Why::Unreadable)?;
    if metadata.len() > longest {
        return Err(Why::TooLong);
    }
    // All at once, so that no copy is left behind when it grows.
    let size = usize::try_from(longest).map_or(0, |longest| longest + 1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    file.take(longest).read_to_end(&mut bytes).map_err(Why::Unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Why::NoText)?;
    Ok((Zeroizing::new(text.to_owned()), is_exposed(&metadata)))
}

fn first_line(text: &str) -> Result<Zeroizing<String>, Why> {
    match text.lines().next().unwrap_or_default() {
        "" => Err(Why::NoPassword),
        line if line.contains(char::is_control) => Err(Why::NoText),
        line => Ok(Zeroizing::new(line.to_owned())),
    }
}

fn certificates(text: &str) -> Result<String, Why> {
    match (text.contains(PRIVATE_KEY), text.contains(CERTIFICATE)) {
        (true, _) => Err(Why::PrivateKey),
        (false, false) => Err(Why::NoCertificate),
        (false, true) => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
