//! Examples and exit codes.

pub(super) const EXPLAIN: &str = "\
Examples:
  klopf explain home/ssh 40012 40133 40066 40201 ...
      Ports that were hit: which bits each carries, what they say, by which key,
      how old it is; or why they open nothing.

  klopf explain home < mail.txt
      A token, a share, or a code of paper, wherever it stands in a text.

  sudo klopf explain --server /ssh 40012 40133 40066 40201 ...
      With the keys of this host's server, whoever made it.

  sudo klopf explain --server --log /var/log/kern.log
      Each hit in a firewall's log, and the knocks that they make, as the server
      would take them; nothing is opened.

  sudo klopf explain --server --pcap knocks.pcapng
      The same for a packet capture, and sealed packets in it.

Nothing secret is printed. What a token or a sequence says is shown; whoever has
them could use them, until the server has seen them.

Exit codes:
  0   explained
  64  the command line is wrong
  65  it is by no key that is known, or nothing of Klopf's
  66  there is no such profile, door or file
  77  others may read the profile; it says what to do
  78  the profile, the configuration or a pattern is broken";
