//! Examples and exit codes of the commands.

pub(super) const KEYGEN: &str = "\
Examples:
  klopf keygen
      Makes a private key, stores it in the configuration folder, and prints the
      public one. On the server: klopf invite --public PUBLIC
      The invitation then holds no private key, and klopf join finds this one.

Exit codes:
  0   stored
  73  it cannot be stored";

pub(super) const JOIN: &str = "\
Examples:
  klopf join
      Asks for the invitation, which is not shown, and stores it as a profile.

  klopf join - < invitation.txt
      From standard input.

  klopf join klopf:AQZsYXB0b3AC...
      The line itself. It then stands in the shell's history, and for a moment
      in the list of processes, where others may read its private key.

  klopf join --keyring
      Keeps the keys in the desktop's keyring, which may ask to be unlocked.

Profiles are files of their own in the folder profiles of the configuration:
~/.config/klopf on Linux, ~/Library/Application Support/klopf on macOS,
%LOCALAPPDATA%\\klopf\\config on Windows, or KLOPF_CONFIG_DIR. Endpoints, door,
allow and stun are yours to change.

Exit codes:
  0   stored
  65  the invitation is broken or has expired; nothing was stored
  66  it is for a private key that is not here; nothing was stored
  73  there is such a profile already, or it cannot be written";

pub(super) const PROFILES: &str = "\
Exit codes:
  0   listed
  77  others than their owner may read one
  78  one is broken; the others are listed";

pub(super) const OPEN: &str = "\
Examples:
  klopf open
      With one profile: knocks for its door.

  klopf open home/web --for 1h
      For the door web of the profile home, for an hour.

  klopf open home --wait tcp/22 && ssh home.example
      Returns when the port answers, or says what is probably wrong.

  klopf open home --allow 192.0.2.7
      For somebody else, at another address.

  klopf open home --via mail --allow 203.0.113.7
      By a mail to the server, handed in as client.toml in the configuration
      folder says: [smtp] with server = \"smtps://USER@HOST\", from, and
      password-file or keyring = true. Without it a mailto: link is printed.

  klopf open home --via encoded --wait tcp/22
      By hits on ports; klopf knock-encoded has more to say of them.

  klopf open --code \"abandon ability ...\" --allow 203.0.113.7 --via mail
      By a code of paper (klopf codes), also where there is no profile, with
      --to MAIL; without --via mail the line to send is printed.

  klopf open home --dry-run
      Shows each byte of what would be sent, and sends nothing.

A knock is never answered: without --wait, 0 says that it was sent.

Exit codes:
  0   sent, or with --wait: the port answers
  64  the command line is wrong, or a code or an address is missing
  65  these words are no code; it says which is wrong
  66  there is no such profile or door
  68  the host is unknown
  69  it cannot be reached, or does not answer; or the mail server took no mail
  73  a number for this knock cannot be written down
  77  others may read the profile; it says what to do
  78  the profile is broken";

pub(super) const CONNECT: &str = "\
Examples:
  klopf connect home.example 22
      Finds the profile by its endpoint, knocks, connects, and passes on what
      comes. Knocks again when nobody answers or the network has changed.

  ssh -o ProxyCommand='klopf connect %h %p' home.example
      What klopf ssh-config writes down for good.

Exit codes:
  0   connected, and both sides have ended
  64  several profiles know the host: name one with -p
  66  no profile knows it
  68  the host is unknown
  69  it cannot be reached, refuses or does not answer
  77  others may read the profile; it says what to do
  78  the profile is broken";

pub(super) const SSH_CONFIG: &str = "\
Examples:
  klopf ssh-config home >> ~/.ssh/config
      From then on ssh, scp, rsync and git knock by themselves: ssh home

  klopf ssh-config home/admin
      With another door than the usual one.

ssh takes the first line that fits: put it before others for the same host.

Exit codes:
  0   printed
  66  there is no such profile or door
  77  others may read the profile; it says what to do
  78  the profile is broken";

pub(super) const RUN: &str = "\
Examples:
  klopf run home -- rsync -a docs/ home.example:docs/
      Knocks, and runs the program.

  klopf run home/db --wait tcp/5432 -- psql -h home.example
      Runs it when the port answers.

Exit codes are those of the program, or:
  64  the command line is wrong
  66  there is no such profile or door, or no such program
  69  the host cannot be reached or does not answer
  77  others may read the profile, or the program may not be run
  78  the profile is broken";

pub(super) const PROXY: &str = "\
Examples:
  klopf proxy
      SOCKS5 at 127.0.0.1:1080. Hosts of profiles are knocked at, to others it
      connects plainly.

  curl --proxy socks5h://127.0.0.1:1080 https://home.example/

  klopf proxy --port 9050 --only-profiles
      At another port, and for hosts of profiles alone.

Whoever is logged in here can use it: doors open for this host as a whole.

Exit codes:
  64  the command line is wrong
  69  the port is taken";

pub(super) const PAGE: &str = "\
Examples:
  klopf page home > knock.html
      Asks for a passphrase, and makes a page for the doors of the profile home.
      Keep it on a stick or in a mail to yourself: it works in any browser, and
      sends nothing. It makes tokens, for a mail or a guestbook.

  klopf page home/ssh --generate > knock.html
      For one door, with a passphrase of six words, shown once.

  pass page | klopf page home --passphrase-file - > knock.html
      The passphrase from a program.

The page holds what tokens are made with, and nothing that packets are made
with. Who has it can try passphrases for as long as they like: take a good one.

Exit codes:
  0   made
  64  the passphrase is too weak, or no door opens by token; nothing was made
  66  there is no such profile or door
  77  others may read the profile; it says what to do
  78  the profile is broken";

#[cfg(not(target_os = "linux"))]
pub(super) const STATUS: &str = "\
Exit codes:
  0   shown";
