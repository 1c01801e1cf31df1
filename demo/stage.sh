# The stage of the stories: hosts in network namespaces, with /etc, /run and the client's home of their own, so that
# nothing of this machine is touched and what is shown is what runs. A story reads this file, and then tells itself.
#
# Before that it sets programs (what it needs of Klopf) and log (the file in /run to show when something goes wrong).
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154
set -u

server=klopf-demo-s$$
client=klopf-demo-c$$
stranger=klopf-demo-x$$
directory=

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') green=$(printf '\033[32m') red=$(printf '\033[31m')
    plain=$(printf '\033[0m')
else
    bold='' dim='' green='' red='' plain=''
fi

fail() {
    printf '%s=> not as told: %s%s\n' "$red" "$1" "$plain" >&2
    [ -z "$directory" ] || cat "$directory/run/$log" >&2 2>/dev/null
    exit 1
}

lacking() {
    printf 'demo: %s\n' "$1" >&2
    exit 69
}

clean_up() {
    trap '' INT TERM HUP
    for host in "$server" "$client" "$stranger"; do
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

[ $# -eq 1 ] || lacking "usage: ${0##*/} BIN_DIR"
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)
for need in ip:iproute2 ss:iproute2 sshd:openssh-server ssh:openssh-client ssh-keygen:openssh-client mount:mount; do
    command -v "${need%:*}" >/dev/null || lacking "${need%:*} is missing: apt-get install ${need#*:}"
done
bin=$(cd "$1" 2>/dev/null && pwd) || lacking "there is no directory $1: cargo build --release"
for program in $programs; do
    [ -x "$bin/$program" ] || lacking "$bin/$program is missing: cargo build --release"
done
[ "$(id -u)" -eq 0 ] || lacking 'network namespaces need root: sudo make demo'
sshd=$(command -v sshd)

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# --- the hosts: each of the others has a link to the server

for host in "$server" "$client" "$stranger"; do
    ip netns add "$host" || lacking 'network namespaces are not allowed here (a container without CAP_SYS_ADMIN?)'
    ip -n "$host" link set lo up
done
# link HOST NET INTERFACE: joins a host to the server, as .2 and .1 of a network.
link() {
    ip -n "$server" link add "$3" type veth peer name eth0 netns "$1" &&
        ip -n "$server" address add "$2.1/24" dev "$3" &&
        ip -n "$1" address add "$2.2/24" dev eth0 &&
        ip -n "$server" link set "$3" up &&
        ip -n "$1" link set eth0 up
}
{
    link "$client" 10.99.0 eth0 && link "$stranger" 10.98.0 eth1 &&
        ip -n "$stranger" route add 10.99.0.1 via 10.98.0.1
} || lacking 'the hosts cannot be joined: does the kernel have veth?'

# --- their files

directory=$(mktemp -d /tmp/klopf-demo.XXXXXX) || lacking 'no room in /tmp'
etc=$directory/etc
home=$directory/home
mkdir -p "$directory/run/sshd" "$directory/state" "$home/.ssh" "$etc/ssh" "$etc/init.d" "$etc/klopf" ||
    lacking 'no room in /tmp'
chmod 0755 "$directory/run/sshd" "$etc"
for file in group nsswitch.conf localtime ld.so.cache ld.so.conf ld.so.conf.d alternatives ssl; do
    [ ! -e "/etc/$file" ] || cp -a "/etc/$file" "$etc/$file"
done
# The client's home is the demo's, and there is somebody to log in as.
getent passwd | grep -v '^user:' | sed "s|^root:\(.*\):[^:]*:\([^:]*\)\$|root:\1:$home:\2|" >"$etc/passwd"
echo 'user:*:61099:65534:the one of the story:/:/bin/sh' >>"$etc/passwd"
printf '127.0.0.1 localhost\n10.99.0.1 server\n10.99.0.2 client\n10.98.0.2 stranger\n' >"$etc/hosts"

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
cat >"$directory/enter" <<EOF
#!/bin/sh
# Every command of a host has a mount namespace of its own, made by "ip netns exec".
mount --bind $etc /etc && mount --bind $directory/run /run || exit 70
cd / && exec "\$@"
EOF
chmod 0755 "$directory/enter"

# --- the stage directions

# on HOST COMMAND...: runs a command, with the input of this one.
on() {
    host=$1
    shift
    env -u SSH_AUTH_SOCK PATH="$bin:$PATH" KLOPF_STATE_DIR="$directory/state" \
        KLOPF_CONFIG_DIR="$home/.config/klopf" ip netns exec "$host" "$directory/enter" "$@"
}

say() {
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

as_told() {
    printf '%s=> %s%s\n' "$green" "$1" "$plain"
}

# Shows a command.
typed() {
    printf '%s%s%s %s\n' "$dim" "$1" "$plain" "$2"
}

# Shows a command, and runs it.
on_server() {
    typed 'server#' "$*"
    on "$server" "$@" </dev/null
}

on_client() {
    typed 'client$' "$*"
    on "$client" "$@" </dev/null
}

on_stranger() {
    typed 'stranger$' "$*"
    on "$stranger" "$@" </dev/null
}

# until_true WHAT COMMAND...: waits for an event, ten seconds at most.
until_true() {
    what=$1
    shift
    tries=200
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$what"
        sleep 0.05
    done
}

listening() { [ -n "$(ip netns exec "$server" ss -Hltn 'sport = :22')" ]; }
not_listening() { ! listening; }
logged() { grep -q "$1" "$directory/run/$log" 2>/dev/null; }

# --- klopfd on the server, and who comes to it

# The one klopfd of the story; it goes on in the background.
start_klopfd() {
    : >"$directory/run/$log"
    typed 'server#' 'klopfd &'
    on "$server" klopfd </dev/null >/dev/null 2>>"$directory/run/$log" &
    until_true 'klopfd is not ready' logged '^ready$'
    klopfd=$(cat "$directory/run/klopf/klopfd.pid") || fail 'klopfd has no pid file'
}

gone() { [ ! -e "/proc/$klopfd" ]; }

must_be_closed() {
    if on_client ssh -o ConnectTimeout=1 user@server echo 'it is me' 2>&1; then
        fail 'ssh answers'
    fi
    as_told "closed: $1"
}

must_answer() {
    typed 'client$' 'ssh user@server echo it is me'
    answer=$(on "$client" ssh user@server echo 'it is me' </dev/null) || fail 'ssh does not answer'
    echo "$answer"
    [ "$answer" = 'it is me' ] || fail 'that is not what ssh was asked'
    as_told "open: $1"
}

# Without the counts, which take lines of their own, and what root has opened from the client.
status() {
    typed 'server#' "klopf status | sed '/^Since/,$ d'"
    on "$server" klopf status </dev/null >"$directory/status" || fail 'klopf status does not work'
    sed '/^Since/,$ d' "$directory/status"
}

no_lease() { on "$server" klopf status --json </dev/null | grep -q '"leases": *\[\]'; }
