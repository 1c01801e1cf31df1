#!/bin/sh
# The story of knocks as letters: a mail, an entry in a guestbook, two of three guestbooks, a code on paper, a page for
# borrowed computers; and each of them opens once.
#
# usage: letters.sh BIN_DIR     BIN_DIR holds klopfd, klopf-courier and klopf
#
# Exit status 0 only if everything was as told.
programs='klopfd klopf-courier klopf'
log=klopfd.log
# shellcheck source=demo/stage.sh
. "$(dirname "$0")/stage.sh"
command -v python3 >/dev/null || lacking 'python3 is missing: apt-get install python3'

cat >"$etc/klopf/klopf.toml" <<'EOF'
[door.ssh]
guard = ["tcp/22"]
keys = ["*"]
open-for = "5m"

[door.vault]
guard = ["tcp/2222"]
keys = ["*"]
open-for = "5m"
via = ["packet", "guestbook"]
guestbooks = ["a", "b", "c"]
quorum = 2

[mail.local]
maildir = "/run/knocks"
drop-box = true

[guestbook.a]
url = "http://stranger:8001/"
every = "1s"
insecure = true                       # no TLS, and
allow-private = ["10.98.0.2"]         # no address of the Internet: this is a demo

[guestbook.b]
url = "http://stranger:8002/"
every = "1s"
insecure = true
allow-private = ["10.98.0.2"]

[guestbook.c]
url = "http://stranger:8003/"
every = "1s"
insecure = true
allow-private = ["10.98.0.2"]

[daemon]
state-dir = "/run/klopf-state"
EOF
mkdir -p "$home/.config/klopf"
cat >"$home/.config/klopf/client.toml" <<'EOF'
[guestbook.a]
url = "http://stranger:8001/"
form = { author = "Ada", text = "{text}" }
insecure = true

[guestbook.b]
url = "http://stranger:8002/"
form = { author = "Ada", text = "{text}" }
insecure = true

[guestbook.c]
url = "http://stranger:8003/"
form = { author = "Ada", text = "{text}" }
insecure = true
EOF
printf 'Port 22\nPort 2222\n' >>"$etc/ssh/sshd_config"
sed 's/^/[server]:2222 /' "$etc/ssh/host_key.pub" >>"$home/.ssh/known_hosts"
printf '%s\n' 'klopf:*:61001:61001::/:/bin/false' 'klopf-courier:*:61002:61002::/:/bin/false' >>"$etc/passwd"

# The client has a way to the stranger that is none through the server.
{
    ip -n "$stranger" link add eth2 type veth peer name eth1 netns "$client" &&
        ip -n "$stranger" address add 10.97.0.1/24 dev eth2 && ip -n "$stranger" link set eth2 up &&
        ip -n "$client" address add 10.97.0.2/24 dev eth1 && ip -n "$client" link set eth1 up &&
        ip -n "$client" route add 10.98.0.2 via 10.97.0.1
} || lacking 'the hosts cannot be joined: does the kernel have veth?'

books=$directory/run/books
mkdir "$books"
echo 'Bob: What a lovely village. We will come back!' | tee "$books/a" "$books/b" >"$books/c"

# open_book NAME PORT: the stranger's guestbook; it goes on in the background.
open_book() {
    on "$stranger" python3 "$here/book.py" 10.98.0.2 "$2" "/run/books/$1" </dev/null >/dev/null 2>&1 &
    until_true "the guestbook $1 is not there" serves "$2"
}

serves() { [ -n "$(ip netns exec "$stranger" ss -Hltn "sport = :$1")" ]; }
closed_down() { ! serves "$1"; }
visits() { cat "$books/$1.visits" 2>/dev/null | wc -l; }
visited_since() { [ "$(visits "$1")" -gt "$2" ]; }

# The server has seen all that is in a guestbook now.
until_read() {
    until_true "nobody looks at the guestbook $1" visited_since "$1" "$(($(visits "$1") + 1))"
}

# What everybody sees there.
show_book() {
    typed 'anybody (in a browser)>' "http://stranger/$1"
    fold -s -w 100 "$books/$1" | sed 's/^/    /'
}

# mailed TEXT: what the mail server of the server's host does with each mail.
mailed() {
    typed 'server# (Postfix, say, for each mail)' 'klopf deliver --maildir /run/knocks'
    printf 'From: ada@example.org\nSubject: Hello\n\n%s\n' "$1" |
        on "$server" klopf deliver --maildir /run/knocks || fail 'klopf deliver does not work'
}

told() { on "$server" klopf status --json </dev/null | grep -q "$1"; }
has_lease() { told '"address": *"10\.99\.0\.2"'; }

# refused WHY TIMES: as klopfd counts it.
refused() { told "\"$1\": *$2[,}]"; }

must_open_by() {
    until_true 'it does not open' has_lease
    status
    grep -q "10\.99\.0\.2" "$directory/status" || fail 'nobody is let in'
    as_told "$1"
}

revoked() {
    on_server klopf revoke 10.99.0.2 || fail 'klopf revoke does not work'
    until_true 'the lease does not end' no_lease
}

# The words of a code on the sheet.
code() { sed -n "/^  $1  /,/^\$/ s/^ *$1\{0,1\} *//p" "$directory/sheet" | tr -s ' \n' ' ' | sed 's/ *$//'; }

vault() { on "$client" ssh -p 2222 -o ConnectTimeout=1 user@server echo 'it is me' </dev/null 2>&1; }

# --- the story

say 'A server, 10.99.0.1, a client, 10.99.0.2, and a stranger, who keeps three guestbooks. Everybody may write there.'
on "$server" "$sshd" </dev/null || fail 'sshd does not start'
until_true 'sshd does not listen' listening
open_book a 8001
open_book b 8002
open_book c 8003
install -d -m 0711 -o 61002 -g 61002 "$directory/run/knocks" "$directory/run/knocks/cur"
install -d -m 3733 -o 61002 -g 61002 "$directory/run/knocks/new" "$directory/run/knocks/tmp"
on_server cat /etc/klopf/klopf.toml
start_klopfd
typed 'server#' 'klopf invite laptop --door ssh --door vault --endpoint server | ssh client klopf join -'
invitation=$(on "$server" klopf invite laptop --door ssh --door vault --endpoint server </dev/null) ||
    fail 'klopf invite does not work'
printf '%s\n' "$invitation" | on "$client" klopf join - || fail 'klopf join does not work'
must_be_closed 'nobody has knocked'

say 'Once by packet, so that the server knows the laptop. From then on it needs no packet any more.'
on_client klopf open laptop/ssh --wait tcp/22 || fail 'klopf open does not open'
revoked

say 'A mail.'
typed 'client$' 'klopf token laptop/ssh --allow 10.99.0.2'
token=$(on "$client" klopf token laptop/ssh --allow 10.99.0.2 </dev/null) || fail 'klopf token does not work'
printf '%s\n' "$token" | fold -w 100
mailed "$token"
must_open_by 'open: a mail'
must_answer 'for the client, whoever has sent the mail'
revoked
say 'The same mail once more.'
mailed "$token"
until_true 'the second mail is not refused' refused replayed 1
must_be_closed 'a token opens once'

say 'An entry in a guestbook.'
on_client klopf post a laptop/ssh --allow 10.99.0.2 --shape prose --language en || fail 'klopf post does not work'
show_book a
must_open_by 'open: an entry that reads like any other'
revoked
until_read a
must_be_closed 'the entry stays there, and opens nothing again'

say 'Two of three guestbooks, for the door vault; and the third is down.'
kill "$(cat "$books/c.pid")" || fail 'the guestbook c is not there'
until_true 'the guestbook c is still there' closed_down 8003
typed 'client$' 'klopf post a laptop/vault --allow 10.99.0.2 --shape words'
on "$client" klopf post a laptop/vault --allow 10.99.0.2 --shape words </dev/null >"$directory/shares" ||
    fail 'klopf post does not work'
until_read a
say 'The stranger copies this share from the guestbook a into b.'
tail -n 1 "$books/a" >>"$books/b"
show_book b
until_read b
vault && fail 'one share opens'
as_told 'closed: a share counts in its own guestbook only, and one says nothing'
typed 'client$' 'klopf post --all laptop/vault --allow 10.99.0.2 --shape words'
on "$client" klopf post --all laptop/vault --allow 10.99.0.2 --shape words </dev/null && fail 'the guestbook c is there'
must_open_by 'open: two of three'
typed 'client$' 'ssh -p 2222 user@server echo it is me'
[ "$(vault)" = 'it is me' ] || fail 'ssh does not answer'
as_told 'open: ssh answers behind the door vault'
revoked

say 'A code on paper, for when there is only a browser.'
typed 'client$' 'klopf codes laptop/ssh --count 2 | lp'
on "$client" klopf codes laptop/ssh --count 2 </dev/null >"$directory/sheet" || fail 'klopf codes does not work'
cat "$directory/sheet"
words=$(code 1)
typed 'somebody (at a borrowed computer, in a browser)>' "$words 10.99.0.2"
echo "Carol: $words 10.99.0.2" >>"$books/b"
must_open_by 'open: the first code, for the address behind it'
revoked
mailed "$words 10.99.0.2"
until_true 'the second use is not refused' refused replayed 2
must_be_closed 'a code opens once'
sheet=$(sed -n 's/^Sheet \([0-9]*\),.*/\1/p' "$directory/sheet")
on_server klopf revoke laptop --sheet "$sheet" || fail 'klopf revoke does not work'
words=$(code 2)
mailed "$words 10.99.0.2"
until_true 'the revoked code is not refused' refused sheet-revoked 1
must_be_closed 'the sheet was lost, and is worth nothing'

say 'A page that makes tokens in any browser.'
typed 'client$' 'klopf page laptop/ssh --generate >knock.html'
on "$client" klopf page laptop/ssh --generate </dev/null >"$directory/knock.html" || fail 'klopf page does not work'
grep -q "default-src 'none'" "$directory/knock.html" || fail 'the page may use the network'
as_told "one file of $(wc -c <"$directory/knock.html") bytes, which may use no network: passphrase in, token out"

say 'klopfd is killed, and started again; its courier finds all that was ever written there.'
on_server kill -9 "$klopfd" || fail 'klopfd is not there any more'
until_true 'klopfd lives on' gone
start_klopfd
until_read a
until_read b
status
until_true 'there is a lease' no_lease
must_be_closed 'each of them has opened once'
as_told 'all was as told'
