#!/bin/sh
# The story of Klopf on the terminal: closed, wrong knock, closed, right knock, open, ssh answers, closed again.
#
# usage: demo.sh BIN_DIR        BIN_DIR holds knockd and knock
#
# Two hosts are made of network namespaces, with /etc, /run and the client's home of their own, so that nothing of
# this machine is touched and what is shown is what runs. Exit status 0 only if everything was as told.
set -u

server=klopf-demo-s$$
client=klopf-demo-c$$
directory=

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') green=$(printf '\033[32m') red=$(printf '\033[31m')
    plain=$(printf '\033[0m')
else
    bold='' dim='' green='' red='' plain=''
fi

fail() {
    printf '%s=> not as told: %s%s\n' "$red" "$1" "$plain" >&2
    [ -z "$directory" ] || cat "$directory/run/knockd.log" >&2 2>/dev/null
    exit 1
}

lacking() {
    printf 'demo: %s\n' "$1" >&2
    exit 69
}

clean_up() {
    trap '' INT TERM HUP
    for host in "$server" "$client"; do
        # Only what was started here is in there.
        while pids=$(ip netns pids "$host" 2>/dev/null) && [ -n "$pids" ]; do
            # shellcheck disable=SC2086
            kill -KILL $pids 2>/dev/null
        done
        ip netns del "$host" 2>/dev/null
    done
    [ -z "$directory" ] || rm -rf "$directory"
}

# --- what is needed

[ $# -eq 1 ] || lacking 'usage: demo.sh BIN_DIR'
PATH=$PATH:/usr/sbin:/sbin
for need in ip:iproute2 ss:iproute2 sshd:openssh-server ssh:openssh-client ssh-keygen:openssh-client mount:mount; do
    command -v "${need%:*}" >/dev/null || lacking "${need%:*} is missing: apt-get install ${need#*:}"
done
bin=$(cd "$1" 2>/dev/null && pwd) || lacking "there is no directory $1: cargo build --release"
for program in knockd knock; do
    [ -x "$bin/$program" ] || lacking "$bin/$program is missing: cargo build --release"
done
[ "$(id -u)" -eq 0 ] || lacking 'network namespaces need root: sudo make demo'
sshd=$(command -v sshd)

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# --- two hosts on one link

ip netns add "$server" || lacking 'network namespaces are not allowed here (a container without CAP_SYS_ADMIN?)'
ip netns add "$client" || lacking 'network namespaces are not allowed here (a container without CAP_SYS_ADMIN?)'
{
    ip -n "$server" link set lo up &&
        ip -n "$client" link set lo up &&
        ip -n "$server" link add eth0 type veth peer name eth0 netns "$client" &&
        ip -n "$server" address add 10.99.0.1/24 dev eth0 &&
        ip -n "$client" address add 10.99.0.2/24 dev eth0 &&
        ip -n "$server" link set eth0 up &&
        ip -n "$client" link set eth0 up
} || lacking 'the two hosts cannot be joined: does the kernel have veth?'

# --- their files

directory=$(mktemp -d /tmp/klopf-demo.XXXXXX) || lacking 'no room in /tmp'
etc=$directory/etc
home=$directory/home
mkdir -p "$directory/run/sshd" "$directory/state" "$home/.ssh" "$etc/ssh" "$etc/init.d" || lacking 'no room in /tmp'
chmod 0755 "$directory/run/sshd" "$etc"
for file in group nsswitch.conf localtime ld.so.cache ld.so.conf ld.so.conf.d alternatives ssl; do
    [ ! -e "/etc/$file" ] || cp -a "/etc/$file" "$etc/$file"
done
# The client's home is the demo's, and there is somebody to log in as.
getent passwd | grep -v '^user:' | sed "s|^root:\(.*\):[^:]*:\([^:]*\)\$|root:\1:$home:\2|" >"$etc/passwd"
echo 'user:*:61099:65534:the one of the story:/:/bin/sh' >>"$etc/passwd"
printf '127.0.0.1 localhost\n10.99.0.1 server\n10.99.0.2 client\n' >"$etc/hosts"

ssh-keygen -q -t ed25519 -N '' -f "$home/.ssh/id_ed25519" -C user@client &&
    ssh-keygen -q -t ed25519 -N '' -f "$etc/ssh/host_key" -C server || lacking 'ssh-keygen does not work'
cp "$home/.ssh/id_ed25519.pub" "$etc/ssh/authorized_keys"
sed 's/^/server /' "$etc/ssh/host_key.pub" >"$home/.ssh/known_hosts"
cat >"$etc/ssh/sshd_config" <<'EOF'
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PidFile /run/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
PrintLastLog no
PrintMotd no
EOF
cat >"$etc/init.d/ssh" <<EOF
#!/bin/sh
echo "\$1" >> /run/ssh.calls
case "\$1" in
    start) exec $sshd ;;
    stop) kill "\$(cat /run/sshd.pid)" ;;
    *) exit 64 ;;
esac
EOF
cat >"$etc/knockd.conf" <<'EOF'
[options]
  logfile = /run/knockd.log

[startSSH]
  sequence = 42000,23000,1337
  seq_timeout = 5
  command = /etc/init.d/ssh start
  tcpflags = syn
  cmd_timeout = 2
  stop_command = /etc/init.d/ssh stop
EOF
cat >"$directory/enter" <<EOF
#!/bin/sh
# Every command of a host has a mount namespace of its own, made by "ip netns exec".
mount --bind $etc /etc && mount --bind $directory/run /run || exit 70
cd / && exec "\$@"
EOF
chmod 0755 "$etc/init.d/ssh" "$directory/enter"

# --- the stage directions

on() {
    host=$1
    shift
    env -u SSH_AUTH_SOCK PATH="$bin:$PATH" KLOPF_STATE_DIR="$directory/state" \
        ip netns exec "$host" "$directory/enter" "$@" </dev/null
}

say() {
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

as_told() {
    printf '%s=> %s%s\n' "$green" "$1" "$plain"
}

# Shows a command, and runs it.
on_server() {
    printf '%sserver#%s %s\n' "$dim" "$plain" "$*"
    on "$server" "$@"
}

on_client() {
    printf '%sclient$%s %s\n' "$dim" "$plain" "$*"
    on "$client" "$@"
}

# until_true WHAT COMMAND...: waits for an event, five seconds at most.
until_true() {
    what=$1
    shift
    tries=100
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$what"
        sleep 0.05
    done
}

listening() { [ -n "$(ip netns exec "$server" ss -Hltn 'sport = :22')" ]; }
not_listening() { ! listening; }
logged() { grep -q "$1" "$directory/run/knockd.log" 2>/dev/null; }
daemon_gone() { [ ! -e "$directory/run/knockd.pid" ]; }

must_be_closed() {
    if on_client ssh user@server echo 'it is me' 2>&1; then
        fail 'ssh answers'
    fi
    if listening; then
        fail 'something listens on port 22'
    fi
    as_told "closed: $1"
}

# --- the story

say 'Two hosts: client 10.99.0.2, server 10.99.0.1. On the server ssh is not running.'
on_server cat /etc/knockd.conf
on_server knockd -d || fail 'knockd does not start'
until_true 'knockd writes no pid file' test -s "$directory/run/knockd.pid"

say 'Nobody has knocked.'
must_be_closed 'nobody answers'

say 'Somebody knocks wrong.'
on_client knock server 42000 1337 23000 || fail 'knock does not work'
until_true 'the wrong knock is not seen' logged 'Stage 1'
must_be_closed 'still nobody answers'

say 'Somebody knocks right.'
on_client knock server 42000 23000 1337 || fail 'knock does not work'
until_true 'the right knock does not open' listening
answer=$(on "$client" ssh user@server echo 'it is me') || fail 'ssh does not answer'
printf '%sclient$%s ssh user@server echo it is me\n%s\n' "$dim" "$plain" "$answer"
[ "$answer" = 'it is me' ] || fail 'that is not what ssh was asked'
as_told 'open: ssh answers'

say 'Two seconds after it was opened.'
until_true 'it is not closed again' not_listening
must_be_closed 'closed again'

say 'What the server has noted.'
on_server cat /run/knockd.log
[ "$(grep -c 'OPEN SESAME' "$directory/run/knockd.log")" -eq 1 ] || fail 'it was not opened just once'
[ "$(tr '\n' ' ' <"$directory/run/ssh.calls")" = 'start stop ' ] || fail 'ssh was not started and stopped just once'
on_server kill "$(cat "$directory/run/knockd.pid")" || fail 'knockd is not there any more'
until_true 'knockd does not end' daemon_gone
as_told 'all was as told'
