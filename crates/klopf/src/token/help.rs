//! Examples and exit codes of the commands.

#[cfg(unix)]
pub(super) const DELIVER: &str = "\
Examples:
  |/usr/bin/klopf deliver
      In a file .forward or in /etc/aliases: each mail to this user is looked at
      for tokens. The server's klopf.toml has: [mail.local] with
      maildir = \"/var/spool/klopf\" and drop-box = true

  klopf deliver --maildir /var/spool/knocks < mail.eml
      Into another Maildir, which must be there.

Of a mail that is longer than 1 MB the beginning is kept.

Exit codes:
  0   delivered
  64  the command line is wrong
  75  it could not be stored; the mail server tries again";
