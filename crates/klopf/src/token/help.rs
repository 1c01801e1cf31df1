//! Examples and exit codes of the commands.

pub(super) const TOKEN: &str = "\
Examples:
  klopf token home/ssh --allow 203.0.113.7
      One line for a mail to the server, or a guestbook that it reads. It opens
      the door ssh for this address once, if it is read within a day.

  klopf token home --allow auto --shape prose --language de
      As some friendly sentences; the address is asked of the profile's STUN
      server.

  klopf token home/vault --allow 203.0.113.7 --shares 2/3 --books a,b,c
      Three texts, a line each, in the order of the guestbooks a, b and c; any
      two of them open. All are of one token: those of two runs do not go
      together.

Nothing but texts is on standard output. A key that belongs to one device makes
tokens that count when the server has heard a packet of this device.

Exit codes:
  0   printed
  64  the command line is wrong, there is no address, or the door opens by no
      text
  66  there is no such profile or door
  69  the STUN server does not answer
  73  a number for this token cannot be written down
  77  others may read the profile; it says what to do
  78  the profile is broken";

pub(super) const POST: &str = "\
Examples:
  klopf post a home/ssh --allow 203.0.113.7
      Writes an entry into the guestbook a that opens the door ssh for this
      address. The configuration folder has a file client.toml with:
      [guestbook.a]
      url = \"https://example.org/guestbook\"
      form = { author = \"Ada\", text = \"{text}\" }
      Or json = '{\"author\": \"Ada\", \"text\": \"{text}\"}' in its place, and
      headers = { Authorization = \"Bearer ...\" } where it must be. Without such
      a section the entry is printed, to be pasted.

  klopf post --all home/vault --allow 203.0.113.7
      Of a door that takes shares: into each of its guestbooks the share that is
      for it. Those that klopf cannot post to are printed.

Nothing but entries to be pasted is on standard output.

Exit codes:
  0   posted, or printed to be pasted
  64  the command line is wrong, there is no address, or the door opens by no
      text
  66  there is no such profile, door or guestbook
  69  a guestbook did not take it (it is printed), or the STUN server does not
      answer
  73  a number for this token cannot be written down
  77  others may read the profile or client.toml; it says what to do
  78  the profile or client.toml is broken";

pub(super) const CODES: &str = "\
Examples:
  klopf codes home/ssh --count 20 | lp
      Prints 20 codes of nine words. Each opens the door once, for whatever
      address stands beside it, in a mail or a guestbook that the server reads.

  klopf open --code \"abandon ability able ...\" --allow 203.0.113.7
      Checks the words, and prints the line that is to be sent.

  sudo klopf revoke laptop --sheet 1234
      On the server, when a sheet is lost.

A code that others see before the server does is theirs. It counts until it is
used, its sheet is revoked, or its key ends.

Exit codes:
  0   printed
  64  the command line is wrong, or the door opens by no text
  66  there is no such profile or door
  77  others may read the profile; it says what to do
  78  the profile is broken";

#[cfg(unix)]
pub(super) const DELIVER: &str = "\
Examples:
  |/usr/local/bin/klopf deliver
      In a file .forward or in /etc/aliases: each mail to this user is looked at
      for tokens. The server's klopf.toml has: [mail.local] with
      maildir = \"/var/spool/klopf\" and drop-box = true

  klopf deliver --maildir /var/spool/knocks < mail.eml
      Into another Maildir, which must be there.

Of a mail that is longer than 1 MB the beginning is kept.

Exit codes:
  0   delivered
  75  it could not be stored, or the command line is wrong; the mail server
      tries again";
