#!/bin/sh
# Sees to it that what a target of the Makefile needs is there.
#
# usage: need.sh build|demo|test|bench|count|lint|fuzz
#
# On Debian and Ubuntu, as root, it installs what is missing, and only that. No service is started by it, now or at
# the next boot. Elsewhere it says what is missing; exit status 69 if nothing goes without it.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

# What is looked for, and the package that has it.
build='cc:gcc /usr/include/stdlib.h:libc6-dev /etc/ssl/certs/ca-certificates.crt:ca-certificates'
demo='ip:iproute2 ss:iproute2 sshd:openssh-server ssh:openssh-client ssh-keygen:openssh-client mount:mount
    python3:python3'
tests="$demo nft:nftables iptables:iptables pkill:procps unshare:util-linux setpriv:util-linux
    nmap:nmap tcpdump:tcpdump knockd:knockd dbus-daemon:dbus-daemon faketime:faketime tshark:tshark
    rsyslogd:rsyslog curl:curl chromium:chromium node:nodejs npm:npm strace:strace
    /usr/lib/python3/dist-packages/cryptography:python3-cryptography openssl:openssl nginx:nginx
    dovecot:dovecot-core /usr/lib/dovecot/imap:dovecot-imapd /usr/lib/dovecot/lmtp:dovecot-lmtpd"
# A host has one mail server; another one is not replaced.
[ -e /usr/sbin/sendmail ] || tests="$tests postfix:postfix"
# What isso, a comment server, is installed with.
python3 -c 'import ensurepip' 2>/dev/null || tests="$tests /nowhere:python3-venv"
count='valgrind:valgrind'
bench="ip:iproute2 knockd:knockd iptables:iptables nft:nftables fwknopd:fwknop-server fwknop:fwknop-client
    $count"

# What a service's package has for the boot.
services='openssh-server:ssh.service openssh-server:ssh.socket knockd:knockd.service
    fwknop-server:fwknop-server.service nginx:nginx.service dovecot-core:dovecot.service
    dovecot-core:dovecot.socket postfix:postfix.service rsyslog:rsyslog.service rsyslog:syslog.socket'

packages=''  # what is missing
installed='' # what has been installed here

say() {
    printf '%s\n' "$1" >&2
}

give_up() {
    say "$1"
    exit 69
}

look_for() {
    for need in $1; do
        case $need in
            /*) [ -e "${need%:*}" ] && continue ;;
            *) command -v "${need%:*}" >/dev/null && continue ;;
        esac
        case " $packages " in
            *" ${need#*:} "*) ;;
            *) packages="$packages ${need#*:}" ;;
        esac
    done
}

may_install() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null
}

# The minor version of Rust in a package, 0 when there is none.
minor() {
    found=$(apt-cache policy "$1" | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}1\.\([0-9]*\).*/\2/p')
    echo "${found:-0}"
}

# The packages with a recent enough Rust: the usual ones, those Debian builds its browsers with, Ubuntu's by number.
rust_packages() {
    least=$(sed -n 's/^rust-version = "1\.\([0-9]*\).*/\1/p' Cargo.toml)
    numbered=$(apt-cache pkgnames cargo-1. | sed -n 's/^cargo\(-1\.[0-9]*\)$/\1/p' | sort -V | tail -n 1)
    for suffix in '' -web $numbered; do
        if [ "$(minor "cargo$suffix")" -ge "$least" ] && [ "$(minor "rustc$suffix")" -ge "$least" ]; then
            echo "cargo$suffix rustc$suffix"
            return
        fi
    done
}

# While packages are installed, no service is to be started. Debian asks this file.
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        trap 'exit 129' HUP
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 0755 "$policy"
        return
    fi
    answer=0
    "$policy" ssh start >/dev/null 2>&1 || answer=$?
    [ "$answer" -eq 101 ] || give_up "$policy may start services, so please install these yourself:$1"
}

keep_off_at_boot() {
    for service in $services; do
        case " $installed " in
            *" ${service%:*} "*) ;;
            *) continue ;;
        esac
        unit=${service#*:}
        if command -v systemctl >/dev/null; then
            # A release has one of ssh's units or both.
            systemctl --quiet disable "$unit" >/dev/null 2>&1 || :
        elif [ -x "/etc/init.d/${unit%.*}" ]; then
            update-rc.d "${unit%.*}" disable >/dev/null || :
        fi
    done
}

install_packages() {
    say "Installing$1 (services among them are neither started now nor at boot)"
    forbid_services "$1"
    # shellcheck disable=SC2086
    told=$(DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get install -q -y --no-install-recommends --no-remove $1 2>&1) || {
        say "$told"
        give_up "That did not work: apt-get install$1"
    }
    installed=$1
    keep_off_at_boot
}

# --- what this target needs

case ${1:-} in
    build | lint | fuzz) look_for "$build" ;;
    demo) look_for "$build $demo" ;;
    test) look_for "$build $tests" ;;
    bench) look_for "$build $bench" ;;
    count) look_for "$build $count" ;;
    *) give_up 'usage: need.sh build|demo|test|bench|count|lint|fuzz' ;;
esac
rust=missing
scripts/cargo --version >/dev/null 2>&1 && rust=there

if [ -n "$packages" ] || [ $rust = missing ]; then
    if may_install; then
        apt-get update -qq || say 'apt-get update does not work; going on with what it knows'
        [ $rust = there ] || packages="$packages $(rust_packages)"
        known=''
        for package in $packages; do
            if apt-cache show "$package" >/dev/null 2>&1; then
                known="$known $package"
            else
                say "There is no package $package here"
            fi
        done
        [ -z "$known" ] || install_packages "$known"
    elif [ -n "$packages" ]; then
        say "Missing:$packages (as root on Debian or Ubuntu they are installed by themselves)"
    fi
fi

# --- what nothing goes without

scripts/cargo --version >/dev/null
command -v cc >/dev/null || give_up 'There is no C compiler, which Rust links with: install gcc'

# --- what some tests go without

[ "$1" != test ] || scripts/isso.sh "${CARGO_TARGET_DIR:-target}" || say 'There is no isso: what needs it is skipped'
