//! The command line of `klopf setup`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use klopf_spa::Name;

use crate::check::NATIVE;
use crate::invite::{endpoint, key_name};
use crate::times::duration;

/// Answers, and what becomes of them.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// What to guard, as tcp/22 or udp/60000-61000; may be given more than once
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    pub(super) guard: Vec<String>,
    /// How you want to knock
    #[arg(long, value_name = "WAY")]
    pub(super) how: Option<Kind>,
    /// With mail: the mailbox, as imaps://user@mail.example/INBOX; an @ in the user's name is %40
    #[arg(long, value_name = "URL", conflicts_with = "maildir")]
    pub(super) mail_imap: Option<String>,
    /// With --mail-imap: the file with its password; mail.password, beside klopf.toml, if not given
    #[arg(long, value_name = "FILE", requires = "mail_imap")]
    pub(super) password_file: Option<String>,
    /// With mail: a mailbox on this host
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) maildir: Option<String>,
    /// With guestbook: the page, or its feed
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// With log: whose log it is
    #[arg(long, value_name = "WHOSE")]
    pub(super) preset: Option<Preset>,
    /// With log: the file, or journal for what the kernel says there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) log_file: Option<String>,
    /// Who may knock: names of people or devices, which are invited; may be given more than once
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = key_name)]
    pub(super) for_whom: Vec<Name>,
    /// How this host is reached from outside, for invitations; may be given more than once
    #[arg(long, value_name = "HOST", value_delimiter = ',', value_parser = endpoint, value_hint = ValueHint::Hostname)]
    pub(super) endpoint: Vec<String>,
    /// Invite nobody; it says how to do it later
    #[arg(long)]
    pub(super) no_invite: bool,
    /// How long new connections may come after a knock, as 30s, 10m, 2h or 1d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) open_for: Option<String>,
    /// Whether the time goes on while a connection is up
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes", hide_possible_values = true)]
    pub(super) extend_while_connected: Option<YesNo>,
    /// What if klopfd dies: stay-closed, or open to all
    #[arg(long, value_name = "STATE")]
    pub(super) if_klopfd_dies: Option<IfDies>,
    /// An address or network that is never shut out, as 192.0.2.0/24; may be given more than once
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub(super) always_allow: Vec<String>,
    /// Take the defaults for all that is not said
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Ask even if standard input is no terminal
    #[arg(long, conflicts_with = "yes")]
    pub(super) ask: bool,
    /// Write into this file; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = NATIVE, value_hint = ValueHint::FilePath)]
    pub(super) output: PathBuf,
    /// Write over a file that is there already, and keep that as FILE.old
    #[arg(long)]
    pub(super) force: bool,
    /// Close the doors on trial then, as klopf lock does
    #[arg(long)]
    pub(super) lock: bool,
    /// The daemon's control socket, instead of the usual one
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) socket: Option<PathBuf>,
}

/// How to knock, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// One sealed packet (recommended)
    Packet,
    /// Ports in order
    Sequence,
    /// A sealed knock, spelled in ports
    Encoded,
    /// A mail
    Mail,
    /// An entry in a guestbook
    Guestbook,
    /// Lines in a log
    Log,
}

/// Whose log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// A firewall of nftables
    Nft,
    /// A firewall of iptables
    Iptables,
    /// A firewall of ufw
    Ufw,
    /// A web server's access log
    Web,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum YesNo {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum IfDies {
    /// Nobody new gets in
    StayClosed,
    /// Everybody gets in
    Open,
}

impl Options {
    /// The way that is asked for, by its name or by what belongs to it.
    pub(super) fn kind(&self) -> Option<Kind> {
        let implied = [
            (Kind::Mail, self.mail_imap.is_some() || self.maildir.is_some()),
            (Kind::Guestbook, self.url.is_some()),
            (Kind::Log, self.preset.is_some() || self.log_file.is_some()),
        ];
        self.how.or_else(|| implied.into_iter().find(|(_, given)| *given).map(|(kind, _)| kind))
    }

    /// An option that belongs to another way than this one.
    pub(super) fn misplaced(&self, kind: Kind) -> Option<(&'static str, Kind)> {
        let of = [
            ("--mail-imap", Kind::Mail, self.mail_imap.is_some()),
            ("--maildir", Kind::Mail, self.maildir.is_some()),
            ("--url", Kind::Guestbook, self.url.is_some()),
            ("--preset", Kind::Log, self.preset.is_some()),
            ("--log-file", Kind::Log, self.log_file.is_some()),
        ];
        of.into_iter().find(|(_, of, given)| *given && *of != kind).map(|(option, of, _)| (option, of))
    }
}

impl Kind {
    /// As it is typed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Sequence => "sequence",
            Self::Encoded => "encoded",
            Self::Mail => "mail",
            Self::Guestbook => "guestbook",
            Self::Log => "log",
        }
    }
}

fn time(text: &str) -> Result<String, &'static str> {
    duration(text).map(|_| text.to_owned())
}
