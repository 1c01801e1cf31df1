//! What the usual commands of a `knockd.conf` mean: rules of iptables, ufw and nft that let one address in.

/// Where the address of who knocked stands.
const ADDRESS: &str = "%IP%";

/// What a command line does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Lets the address in at these ports, as `guard` names them: `tcp/22`.
    Opens(Vec<String>),
    /// Takes that back.
    Closes(Vec<String>),
    /// A program and its arguments, `%IP%` as it stands; no shell is needed.
    Runs(Vec<String>),
    /// A line for a shell.
    Shell,
}

/// What a command line means.
pub(super) fn meaning(line: &str) -> Meaning {
    let Some(words) = words(line).filter(|words| !words.is_empty()) else { return Meaning::Shell };
    let plain: Vec<&str> = words.iter().map(String::as_str).collect();
    let known = match plain.split_first() {
        Some((program, rest)) => match program.rsplit('/').next() {
            Some("iptables" | "ip6tables") => iptables(rest),
            Some("ufw") => ufw(rest),
            Some("nft") => nft(rest),
            _ => None,
        },
        None => None,
    };
    match known {
        Some((true, ports)) => Meaning::Opens(ports),
        Some((false, ports)) => Meaning::Closes(ports),
        None if words.first().is_some_and(|program| program.starts_with('/')) => Meaning::Runs(words),
        None => Meaning::Shell,
    }
}

/// The argument vector for the commands for an IPv4 address and for an IPv6 one, `{ip}` in the place of `%IP%`; none if there is
/// none. Where only the first is there it is for both, as knockd has it.
pub(super) fn argv([line, line6]: [Option<&str>; 2]) -> Option<Vec<String>> {
    let of_shell = |script: String| {
        let words = ["/bin/sh", "-c", &script, "sh", "{ip}"];
        Some(words.map(str::to_owned).to_vec())
    };
    match (line, line6) {
        (None, None) => None,
        (Some(line), line6) if line6.is_none_or(|line6| line6 == line) => match meaning(line) {
            Meaning::Shell => of_shell(script(line)),
            _ => match words(line) {
                Some(words) if words.first().is_some_and(|program| program.starts_with('/')) => {
                    Some(words.into_iter().map(|word| word.replace(ADDRESS, "{ip}")).collect())
                }
                _ => of_shell(script(line)),
            },
        },
        (line, Some(line6)) => {
            let other = line.map(|line| format!(" *) {};;", script(line))).unwrap_or_default();
            of_shell(format!("case $1 in *:*) {};;{other} esac", script(line6)))
        }
        (Some(_), None) => None,
    }
}

/// A line for a shell that has the address in `$1`.
fn script(line: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix(ADDRESS) {
            out.push_str(match quote {
                None => "\"$1\"",
                Some('"') => "$1",
                Some(_) => "'\"$1\"'",
            });
            rest = behind;
            continue;
        }
        let mut length = letter.len_utf8();
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), close) if open == close => quote = None,
            // The next one is no quote.
            (None | Some('"'), '\\') => length += rest.chars().nth(1).map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(rest.get(..length).unwrap_or_default());
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// The words of a line in which a shell would change nothing but quotes; none if there is more to it.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        end if end == letter => break,
                        '$' | '`' | '\\' | '!' if letter == '"' => return None,
                        inner => word.push(inner),
                    }
                }
            }
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '\\' | '*' | '?' | '[' | ']' | '#' | '~' | '{'
            | '}' | '!' | '\n' => return None,
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    // An assignment before the program.
    if words.first().is_some_and(|program| program.contains('=')) { None } else { Some(words) }
}

/// Whether a rule is put in, and for which ports as `guard` has them; none if it says more than that.
type Rule = Option<(bool, Vec<String>)>;

fn iptables(words: &[&str]) -> Rule {
    let mut rest = words.iter().copied().peekable();
    let (mut adds, mut source, mut accepts, mut proto, mut ports) = (None, false, false, None, Vec::new());
    while let Some(word) = rest.next() {
        match word {
            "-w" | "--wait" => {
                let _ = rest.next_if(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
            }
            "-t" | "--table" => {
                rest.next().filter(|table| *table == "filter")?;
            }
            "-A" | "--append" | "-I" | "--insert" | "-D" | "--delete" => {
                adds = Some(!matches!(word, "-D" | "--delete"));
                // A rule that lets out is no guard.
                rest.next().filter(|chain| *chain != "OUTPUT" && !chain.starts_with('-'))?;
                let _ = rest.next_if(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
            }
            "-s" | "--source" | "--src" => {
                source = matches!(rest.next()?, ADDRESS | "%IP%/32" | "%IP%/128");
                if !source {
                    return None;
                }
            }
            "-p" | "--protocol" | "--proto" => {
                proto = Some(rest.next().filter(|proto| matches!(*proto, "tcp" | "udp"))?)
            }
            "--dport" | "--destination-port" => ports.push(rest.next()?.replace(':', "-")),
            "--dports" | "--destination-ports" => {
                ports.extend(rest.next()?.split(',').map(|port| port.replace(':', "-")));
            }
            "-j" | "--jump" => accepts = rest.next()? == "ACCEPT",
            "-m" | "--match" => {
                rest.next()
                    .filter(|name| matches!(*name, "tcp" | "udp" | "state" | "conntrack" | "comment" | "multiport"))?;
            }
            "--state" | "--ctstate" => {
                rest.next().filter(|states| states.split(',').any(|state| state == "NEW"))?;
            }
            "--comment" => {
                let _ = rest.next()?;
            }
            // Only those that begin a connection: a guard does no other.
            "--syn" => {}
            _ => return None,
        }
    }
    if !source || !accepts {
        return None;
    }
    Some((adds?, guard(&[proto?], &ports)?))
}

fn ufw(words: &[&str]) -> Rule {
    let mut rest = words.iter().copied().peekable();
    let _ = rest.next_if_eq(&"--force");
    let deletes = rest.next_if_eq(&"delete").is_some();
    if rest.next_if_eq(&"insert").is_some() {
        rest.next()?.parse::<u16>().ok()?;
    } else {
        let _ = rest.next_if_eq(&"prepend");
    }
    rest.next().filter(|word| *word == "allow")?;
    let _ = rest.next_if_eq(&"in");
    if rest.next_if_eq(&"on").is_some() {
        return None;
    }
    let (mut from, mut ports, mut proto) = (false, Vec::new(), None);
    while let Some(word) = rest.next() {
        match word {
            "from" => {
                from = rest.next()? == ADDRESS;
                if !from {
                    return None;
                }
            }
            "to" => {
                rest.next().filter(|to| *to == "any")?;
            }
            "port" => ports.extend(rest.next()?.split(',').map(|port| port.replace(':', "-"))),
            "proto" => proto = Some(rest.next().filter(|proto| matches!(*proto, "tcp" | "udp"))?),
            "comment" => {
                let _ = rest.next()?;
            }
            _ => return None,
        }
    }
    let protos = proto.map_or_else(|| vec!["tcp", "udp"], |proto| vec![proto]);
    from.then_some((!deletes, guard(&protos, &ports)?))
}

fn nft(words: &[&str]) -> Rule {
    let ["add" | "insert", "rule", rule @ ..] = words else { return None };
    // The family, if it is there, the table and the chain.
    let (["ip" | "ip6" | "inet", _, _, rule @ ..] | [_, _, rule @ ..]) = rule else { return None };
    let ["ip" | "ip6", "saddr", ADDRESS, rest @ ..] = rule else { return None };
    let (proto, port, rest) = match rest {
        [proto @ ("tcp" | "udp"), "dport", port, rest @ ..] => (*proto, *port, rest),
        _ => return None,
    };
    let rest = match rest {
        ["ct", "state", "new" | "new,established", rest @ ..] => rest,
        rest => rest,
    };
    let rest = match rest {
        ["counter", rest @ ..] => rest,
        rest => rest,
    };
    match rest {
        ["accept"] | ["accept", "comment", _] => Some((true, guard(&[proto], &[port.to_owned()])?)),
        _ => None,
    }
}

/// As `guard` has it, if these are ports.
fn guard(protos: &[&str], ports: &[String]) -> Option<Vec<String>> {
    let number = |text: &str| match service(text) {
        Some(number) => Some(number),
        None => text.parse::<u16>().ok().filter(|number| *number > 0),
    };
    let mut all = Vec::new();
    for port in ports {
        let (first, last) = port.split_once('-').unwrap_or((port, port));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        all.extend(protos.iter().map(|proto| format!("{proto}/{range}")));
    }
    Some(all).filter(|all| !all.is_empty())
}

/// Services that people name instead of ports (IANA).
fn service(name: &str) -> Option<u16> {
    Some(match name {
        "ssh" => 22,
        "smtp" => 25,
        "http" | "www" => 80,
        "pop3" => 110,
        "imap" | "imap2" => 143,
        "https" => 443,
        "imaps" => 993,
        "pop3s" => 995,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(ports: &[&str]) -> Meaning {
        Meaning::Opens(ports.iter().map(ToString::to_string).collect())
    }

    fn closes(ports: &[&str]) -> Meaning {
        Meaning::Closes(ports.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rules_for_one_address_are_guards() {
        for (line, expected) in [
            ("/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", opens(&["tcp/22"])),
            ("iptables -I INPUT 1 -s %IP%/32 -p tcp -m tcp --dport ssh --syn -j ACCEPT", opens(&["tcp/22"])),
            (
                "/usr/sbin/iptables -w 5 -t filter -I INPUT -p udp -s %IP% --dport 60000:61000 -m comment --comment \"mosh for me\" -j ACCEPT",
                opens(&["udp/60000-61000"]),
            ),
            (
                "iptables -A INPUT -p tcp -m multiport --dports 80,443 -s %IP% -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
                opens(&["tcp/80", "tcp/443"]),
            ),
            ("ip6tables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", closes(&["tcp/22"])),
            ("ufw allow from %IP% to any port 22 proto tcp", opens(&["tcp/22"])),
            ("/usr/sbin/ufw insert 1 allow from %IP% to any port 22", opens(&["tcp/22", "udp/22"])),
            ("ufw delete allow from %IP% to any port 22 proto tcp comment 'x y'", closes(&["tcp/22"])),
            ("nft add rule inet filter input ip saddr %IP% tcp dport 22 ct state new accept", opens(&["tcp/22"])),
            ("nft insert rule filter input ip saddr %IP% tcp dport https counter accept", opens(&["tcp/443"])),
        ] {
            assert_eq!(meaning(line), expected, "{line}");
        }
    }

    #[test]
    fn commands_are_argument_vectors_and_a_shell_runs_what_needs_one() {
        let shell = |script: &str| Some(["/bin/sh", "-c", script, "sh", "{ip}"].map(str::to_owned).to_vec());
        let plain = |words: &[&str]| Some(words.iter().map(ToString::to_string).collect::<Vec<_>>());
        for (lines, expected) in [
            ([None, None], None),
            ([Some("/bin/logger 'in: %IP%' x"), None], plain(&["/bin/logger", "in: {ip}", "x"])),
            ([Some("/bin/x %IP%"), Some("/bin/x %IP%")], plain(&["/bin/x", "{ip}"])),
            ([Some("logger %IP%"), None], shell("logger \"$1\"")),
            (
                [Some("echo \"in %IP%\" '%IP%' %IP%/32 >>/tmp/x; a"), None],
                shell("echo \"in $1\" ''\"$1\"'' \"$1\"/32 >>/tmp/x; a"),
            ),
            ([Some("echo \\\"%IP%\\' \\"), None], shell("echo \\\"\"$1\"\\' \\")),
            ([Some("/bin/a"), Some("/bin/b %IP%")], shell("case $1 in *:*) /bin/b \"$1\";; *) /bin/a;; esac")),
            ([None, Some("/bin/b")], shell("case $1 in *:*) /bin/b;; esac")),
        ] {
            assert_eq!(argv(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_says_more_or_less_is_a_command() {
        for line in [
            "/sbin/iptables -A INPUT -s %IP% -j ACCEPT",
            "/sbin/iptables -A INPUT -p tcp --dport 22 -j ACCEPT",
            "/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j DROP",
            "/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -d 192.0.2.1 -j ACCEPT",
            "/sbin/iptables -t nat -A PREROUTING -s %IP% -p tcp --dport 22 -j ACCEPT",
            "/sbin/iptables -A INPUT -s 192.0.2.1 -p tcp --dport 22 -j ACCEPT",
            "/sbin/iptables -A INPUT -s %IP% -p tcp --dport nosuch -j ACCEPT",
            "/usr/sbin/ufw allow from %IP%",
            "/usr/sbin/ufw allow from any to any port 22",
            "/usr/sbin/nft add element inet filter knockers '%IP%'",
            "/etc/init.d/ssh start",
        ] {
            assert!(matches!(meaning(line), Meaning::Runs(_)), "{line}: {:?}", meaning(line));
        }
        let runs = Meaning::Runs(vec!["/bin/logger".into(), "a b".into(), "c'd".into()]);
        assert_eq!(meaning("/bin/logger 'a b' c\"'\"d"), runs);
        for line in
            ["", "echo x", "/bin/a && /bin/b", "/bin/a > /tmp/x", "/bin/a $HOME", "X=1 /bin/a", "/bin/a 'b", "/bin/a *"]
        {
            assert_eq!(meaning(line), Meaning::Shell, "{line}");
        }
    }
}
