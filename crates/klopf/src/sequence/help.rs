//! Examples and exit codes of the commands.

pub(super) const KNOCK_ENCODED: &str = "\
Examples:
  klopf knock-encoded home/ssh --allow 203.0.113.7
      Hits ports of the server whose numbers spell a sealed knock: the door ssh
      opens for this address. On the server, [door.ssh] has:
      encoded = { ports = \"40000-40255\", fields = [\"addr\"] }

  klopf knock-encoded home/ssh --for 1h --port 22 --wait tcp/22
      For an hour, and for this port, where the door's fields have for and port;
      returns when the port answers.

  klopf knock-encoded home/ssh --ports 40000-40255 --fields addr,for --for 1h
      Where the profile does not say what the door takes.

  klopf knock-encoded home/ssh --allow 203.0.113.7 --dry-run
      Shows the hits and what they say, bit by bit, and sends nothing.

  klopf knock-encoded home --allow 203.0.113.7 --to-log /tmp/firewall.log
      Writes the lines that a firewall would, and sends nothing.

A time is rounded down to one of 64 that a sequence can name. A knock is never
answered: without --wait, 0 says that it was sent.

Exit codes:
  0   sent, or with --wait: the port answers
  64  the command line is wrong, an address is missing, or the door's fields
      have no room for what is asked
  66  there is no such profile or door, or nobody has said on which ports
  68  the host is unknown
  69  it cannot be reached, or does not answer
  73  the number of this knock, or the log, cannot be written
  77  others may read the profile; it says what to do
  78  the profile is broken, or this device has no clock";
