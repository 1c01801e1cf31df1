#!/bin/sh
# The story of Klopf on the terminal: closed to a scan, open to the knocker alone, ssh lives on, kill -9, still right.
#
# usage: demo.sh BIN_DIR        BIN_DIR holds klopfd and klopf
#
# Exit status 0 only if everything was as told.
programs='klopfd klopf'
log=klopfd.log
# shellcheck source=demo/stage.sh
. "$(dirname "$0")/stage.sh"

cat >"$etc/klopf/klopf.toml" <<'EOF'
[door.ssh]
guard = ["tcp/22"]
sequence = [42000, 23000, 1337]
open-for = "4s"

[daemon]
state-dir = "/run/klopf-state"
EOF

# What a scan of port 22 finds: open or not.
scan() {
    if command -v nmap >/dev/null; then
        on_stranger nmap -Pn -n -p 22 --max-retries 1 server >"$directory/scan" 2>/dev/null
        grep '^22/tcp' "$directory/scan"
    else
        on_stranger ssh-keyscan -T 1 server >"$directory/scan" 2>/dev/null
        [ ! -s "$directory/scan" ] || echo '22/tcp open  ssh' | tee "$directory/scan"
    fi
    grep -q '^22/tcp *open ' "$directory/scan"
}

must_be_closed_to_all_others() {
    if scan; then
        fail 'port 22 is open'
    fi
    as_told "closed to the stranger: $1"
}

# A line typed into the session that stays open comes back from the server.
session_must_answer() {
    typed 'client (in the first ssh)>' "$1"
    echo "$1" >&3
    until_true 'the session is dead' grep -qx "$1" "$directory/session.out"
    as_told "the server answers: $1"
}

# --- the story

say 'Three hosts: client 10.99.0.2, server 10.99.0.1, and a stranger, 10.98.0.2. On the server ssh runs, always.'
on_server "$sshd" || fail 'sshd does not start'
until_true 'sshd does not listen' listening
scan || fail 'port 22 is not open'
as_told 'open to everybody'

say 'The server gets a door.'
on_server cat /etc/klopf/klopf.toml
start_klopfd
must_be_closed_to_all_others 'nothing answers, and ssh runs as before'

say 'The client knocks wrong.'
on_client klopf knock server 42000 1337 23000 || fail 'knock does not work'
must_be_closed 'and no hint why'

say 'The client knocks right.'
on_client klopf knock server 42000 23000 1337 || fail 'knock does not work'
must_answer 'at once, for the client'
mkfifo "$directory/session.in"
typed 'client$' 'ssh user@server cat'
on "$client" ssh user@server cat <"$directory/session.in" >"$directory/session.out" &
exec 3>"$directory/session.in"
session_must_answer 'I am in'
status
must_be_closed_to_all_others 'and to everybody else'

say 'Four seconds after the knock.'
until_true 'the lease does not end' no_lease
must_be_closed 'a new connection needs a new knock'
session_must_answer 'I am still in'

say 'Somebody is let in by hand, and klopfd is killed.'
on_server klopf grant ssh 10.99.0.2 --for 5m || fail 'klopf grant does not work'
on_server kill -9 "$klopfd" || fail 'klopfd is not there any more'
until_true 'klopfd lives on' gone
must_be_closed_to_all_others 'the guard is in the kernel'
must_answer 'so is who was let in'
session_must_answer 'I have noticed nothing'

say 'klopfd is started again.'
start_klopfd
status
grep -q '^ssh .*10\.99\.0\.2 ' "$directory/status" || fail 'it does not know who was let in'
as_told 'it has taken over what it found'
on_server klopf revoke ssh || fail 'klopf revoke does not work'
must_be_closed 'the client as well'
session_must_answer 'I am in until I go'

say 'And if all of this was a mistake: no klopfd, no guard.'
on_server kill -9 "$klopfd" || fail 'klopfd is not there any more'
until_true 'klopfd lives on' gone
on_server klopf unlock || fail 'klopf unlock does not work'
scan || fail 'port 22 is not open'
as_told 'open to everybody, as it was'
exec 3>&-
as_told 'all was as told'
