//! The real Postfix, which hands mails on: to a program through a pipe, or to Dovecot by LMTP.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;

use crate::{Elsewhere, Host, Need, Result, Running, SERVER4, Signal, Stage, ensure, found, until};

/// A Postfix with a configuration and a queue of its own, for mails to `host.test`: at port 25 of the server, or where people
/// hand in their mails.
#[derive(Debug)]
pub struct Postfix {
    running: Running,
}

/// Submits standard input by SMTP.
const SUBMIT: &str = "import smtplib, sys\n\
    with smtplib.SMTP(sys.argv[1], 25, timeout=20) as server:\n    \
        server.sendmail('somebody@example.org', [sys.argv[2]], sys.stdin.buffer.read())\n";

impl Postfix {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 2] = [Need::Program("postfix", "postfix"), Need::Program("python3", "python3")];
    /// Mails for this address go to the pipe.
    pub const PIPED: &str = "pipe@host.test";
    /// Mails for this address go where a line of an alias file, or of a `.forward`, sends them: to the same program.
    pub const FORWARDED: &str = "forward@host.test";
    /// All others go to the LMTP socket.
    pub const DELIVERED: &str = "ada@host.test";

    /// Starts it, and waits until it listens. Pipes run these words as `nobody`; they have no white space.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(stage: &Stage, pipe: &[&str], lmtp: &Path) -> Result<Self> {
        let directory = stage.path("postfix");
        Self::start_on(stage, &stage.server, &main_cf(&directory, lmtp), &master_cf(pipe), pipe)
    }

    /// One on `mail.test` that takes mails of those whom Dovecot knows: at 465 by TLS, at 587 by STARTTLS. Dovecot gets them,
    /// and says at the socket `auth` who is who, which [`Postfix::auth`] has it do.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start_for_people(stage: &Stage, elsewhere: &Elsewhere, lmtp: &Path) -> Result<Self> {
        let directory = stage.path("postfix");
        let (certificate, key) = (&elsewhere.authority.certificate, &elsewhere.authority.key);
        let main = format!(
            "{}smtpd_tls_chain_files = {}, {}\nsmtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n\
             smtpd_sasl_path = {}\nsmtpd_tls_auth_only = yes\nsmtpd_delay_reject = yes\n\
             smtpd_relay_restrictions = permit_sasl_authenticated, reject\n",
            main_cf(&directory, lmtp),
            key.display(),
            certificate.display(),
            stage.path("auth").display(),
        );
        let master = format!(
            "{}tlsmgr unix - - n 1000? 1 tlsmgr\n465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n\
             587 inet n - n - - smtpd -o smtpd_tls_security_level=encrypt\n",
            master_cf(&["true"])
        );
        Self::start_on(stage, &elsewhere.host, &main, &master, &["true"])
    }

    /// A service of Dovecot that says to Postfix who is who.
    #[must_use]
    pub fn auth(stage: &Stage) -> String {
        // Who is refused need not wait.
        format!(
            "auth_failure_delay = 0\nservice auth {{\n  unix_listener {} {{\n    mode = 0666\n  }}\n}}\n",
            stage.path("auth").display()
        )
    }

    fn start_on(stage: &Stage, host: &Host, main: &str, master: &str, pipe: &[&str]) -> Result<Self> {
        let directory = stage.path("postfix");
        for name in ["queue", "data"] {
            fs::create_dir_all(directory.join(name))?;
        }
        stage.server.run("chown", &["postfix", &directory.join("data").display().to_string()])?;
        stage.write("postfix/aliases", &format!("forward \"|{}\"\n", pipe.join(" ")))?;
        stage.write("postfix/transport", &format!("{} klopf:\n{} local:\n", Self::PIPED, Self::FORWARDED))?;
        stage.write("postfix/main.cf", main)?;
        stage.write("postfix/master.cf", master)?;
        let program = found("postfix").ok_or("postfix is missing")?;
        let mut command = host.command(program);
        command.arg("-c").arg(&directory).arg("start-fg");
        let mut running = Running::start(command, &stage.path("postfix.out"))?;
        running.until("Postfix has started", |log| log.contains("daemon started"))?;
        host.until_listens(25, true)?;
        Ok(Self { running })
    }

    /// Submits a mail by SMTP from a host.
    ///
    /// # Errors
    /// If it is not taken.
    pub fn submit(&self, from: &Host, recipient: &str, mail: &str) -> Result {
        self.submit_to(from, SERVER4, recipient, mail)
    }

    fn submit_to(&self, from: &Host, to: IpAddr, recipient: &str, mail: &str) -> Result {
        let mut command = from.command("python3");
        command.args(["-c", SUBMIT, &to.to_string(), recipient]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().ok_or("no pipe")?.write_all(mail.as_bytes())?;
        let done = child.wait_with_output()?;
        ensure!(done.status.success(), "not taken: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// Waits until mails to an address went on so many times.
    ///
    /// # Errors
    /// If they do not.
    pub fn until_sent(&self, recipient: &str, times: usize) -> Result {
        let line = |line: &&str| line.contains(&format!("to=<{recipient}>")) && line.contains("status=sent");
        until(&format!("mails to {recipient} went on {times} times"), || {
            let log = self.running.log()?;
            ensure!(!log.contains("status=bounced"), "Postfix could not hand it on:\n{log}");
            Ok(log.lines().filter(line).count() >= times)
        })
        .map_err(|fault| format!("{fault}\n{}", self.running.log().unwrap_or_default()).into())
    }

    /// Ends it.
    ///
    /// # Errors
    /// If it lives on.
    pub fn stop(mut self) -> Result {
        self.running.signal(Signal::TERM)?;
        self.running.until_ended().map(drop)
    }
}

fn main_cf(directory: &Path, lmtp: &Path) -> String {
    let (directory, lmtp) = (directory.display(), lmtp.display());
    format!(
        "compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = /dev/stdout
myhostname = host.test
mydestination = host.test
mynetworks_style = subnet
inet_interfaces = all
inet_protocols = ipv4
local_recipient_maps =
alias_maps = texthash:{directory}/aliases
alias_database =
transport_maps = texthash:{directory}/transport
local_transport = lmtp:unix:{lmtp}
default_privs = nobody
biff = no
smtpd_peername_lookup = no
disable_dns_lookups = yes
message_size_limit = 100000000
mailbox_size_limit = 0
"
    )
}

/// The services of Postfix that a mail needs, none of them in a chroot.
fn master_cf(pipe: &[&str]) -> String {
    format!(
        "smtp inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
klopf unix - n n - - pipe flags=Rq user=nobody argv={}
",
        pipe.join(" ")
    )
}
