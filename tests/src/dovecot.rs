//! The real Dovecot: IMAP and LMTP, with one mailbox.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::{Authority, Elsewhere, Need, Result, Running, Signal, Stage, deliver_by_lmtp, ensure, until};

/// What Dovecot would say without `IDLE`, and all that a courier may like.
const WITHOUT_IDLE: &str =
    "imap_capability = IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE UIDPLUS CHILDREN NAMESPACE MOVE LITERAL+";

/// A Dovecot on `mail.test`: IMAP at 143 (with STARTTLS) and 993, LMTP at a socket.
#[derive(Debug)]
pub struct Dovecot {
    running: Running,
    directory: PathBuf,
}

/// A mail in a mailbox, as Dovecot keeps it in a Maildir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its text.
    pub mail: String,
    /// Whether it was read.
    pub seen: bool,
    /// Whether it was marked as deleted.
    pub deleted: bool,
}

impl Dovecot {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 5] = [
        Need::Program("dovecot", "dovecot-core"),
        Need::Program("/usr/lib/dovecot/imap", "dovecot-imapd"),
        Need::Program("/usr/lib/dovecot/lmtp", "dovecot-lmtpd"),
        Elsewhere::NEEDS[0],
        Elsewhere::NEEDS[1],
    ];
    /// Who owns the mailbox.
    pub const USER: &str = "ada";
    /// With which password.
    pub const PASSWORD: &str = "correct horse/battery+staple";
    /// The address of the mailbox.
    pub const ADDRESS: &str = "ada@host.test";

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(stage: &Stage, elsewhere: &Elsewhere) -> Result<Self> {
        Self::start_with(stage, elsewhere, "")
    }

    /// The same for one that knows no IDLE.
    ///
    /// # Errors
    /// As [`Dovecot::start`].
    pub fn start_without_idle(stage: &Stage, elsewhere: &Elsewhere) -> Result<Self> {
        Self::start_with(stage, elsewhere, WITHOUT_IDLE)
    }

    /// The same with these lines of configuration besides.
    ///
    /// # Errors
    /// As [`Dovecot::start`].
    pub fn start_with(stage: &Stage, elsewhere: &Elsewhere, lines: &str) -> Result<Self> {
        let directory = stage.path("dovecot");
        for name in ["mail", "home"] {
            fs::create_dir_all(directory.join(name))?;
        }
        let chown = ["chown", "-R", "mail:mail", "mail", "home"];
        elsewhere.host.run("env", &[&["-C", &directory.display().to_string()][..], &chown].concat())?;
        stage.write("dovecot/users", &format!("{}:{{PLAIN}}{}\n", Self::USER, Self::PASSWORD))?;
        let config = stage.write("dovecot/dovecot.conf", &config(&directory, elsewhere, lines))?;
        let mut command = elsewhere.host.command("dovecot");
        command.arg("-F").arg("-c").arg(config);
        let running = Running::start(command, &stage.path("dovecot.out"))?;
        let dovecot = Self { running, directory };
        elsewhere.host.until_listens(993, true)?;
        until("Dovecot takes mail", || Ok(dovecot.socket().exists()))?;
        Ok(dovecot)
    }

    /// Ends it, and waits until nobody listens.
    ///
    /// # Errors
    /// If it lives on.
    pub fn stop(self, elsewhere: &Elsewhere) -> Result {
        let socket = self.socket();
        self.running.signal(Signal::TERM)?;
        let Self { mut running, .. } = self;
        running.until_ended()?;
        elsewhere.host.until_listens(993, false)?;
        if socket.exists() {
            fs::remove_file(socket)?;
        }
        Ok(())
    }

    /// Where it takes mails by LMTP.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("lmtp")
    }

    /// Delivers a mail by LMTP; returns when it was taken.
    ///
    /// # Errors
    /// If it was not taken.
    pub fn deliver(&self, mail: &str) -> Result<Instant> {
        deliver_by_lmtp(&self.socket(), Self::ADDRESS, mail.as_bytes())
    }

    /// The mails of a folder; `INBOX` or another one. A folder that is not there has none.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn mails(&self, folder: &str) -> Result<Vec<Kept>> {
        let mail = self.directory.join("mail");
        let folder = if folder == "INBOX" { mail } else { mail.join(format!(".{folder}")) };
        mails_of(&folder)
    }

    /// What it has logged.
    ///
    /// # Errors
    /// If there is no log.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.join("dovecot.log"))?)
    }

    /// Waits until somebody waits for mails by IDLE (or has logged in, where there is none).
    ///
    /// # Errors
    /// If nobody does.
    pub fn until_logged_in(&self, times: usize) -> Result {
        until("somebody has logged in at Dovecot", || Ok(self.log()?.matches("Login: user=").count() >= times))
    }
}

/// The mails of a Maildir, in the order of their names.
///
/// # Errors
/// If they cannot be read.
pub fn mails_of(maildir: &Path) -> Result<Vec<Kept>> {
    let mut files = Vec::new();
    for name in ["new", "cur"] {
        match fs::read_dir(maildir.join(name)) {
            Ok(entries) => files.extend(entries.filter_map(|entry| Some(entry.ok()?.path()))),
            Err(fault) => ensure!(fault.kind() == std::io::ErrorKind::NotFound, "{}: {fault}", maildir.display()),
        }
    }
    files.sort_by_key(|file| file.file_name().map(ToOwned::to_owned));
    // One that is moved meanwhile is somewhere else.
    let read = |file: PathBuf| {
        let mail = String::from_utf8_lossy(&fs::read(&file).ok()?).into_owned();
        let name = file.file_name()?.to_string_lossy().into_owned();
        let flags = name.split_once(":2,").map(|(_, flags)| flags.to_owned()).unwrap_or_default();
        Some(Kept { mail, seen: flags.contains('S'), deleted: flags.contains('T') })
    };
    Ok(files.into_iter().filter_map(read).collect())
}

fn config(directory: &Path, elsewhere: &Elsewhere, lines: &str) -> String {
    let Authority { certificate, key, .. } = &elsewhere.authority;
    let (directory, certificate, key) = (directory.display(), certificate.display(), key.display());
    let listens = Elsewhere::MAIL;
    format!(
        "base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = imap lmtp
listen = {listens}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
mail_location = maildir:{directory}/mail
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
passdb {{
  driver = passwd-file
  args = username_format=%n {directory}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={directory}/home allow_all_users=yes
}}
service lmtp {{
  unix_listener {directory}/lmtp {{
    mode = 0666
  }}
}}
{lines}
"
    )
}
