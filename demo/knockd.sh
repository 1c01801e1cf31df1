#!/bin/sh
# The story of knockd, told by Klopf's: closed, wrong knock, closed, right knock, open, ssh answers, closed again.
#
# usage: knockd.sh BIN_DIR      BIN_DIR holds knockd and knock
#
# Exit status 0 only if everything was as told.
programs='knockd knock'
log=knockd.log
# shellcheck source=demo/stage.sh
. "$(dirname "$0")/stage.sh"

cat >"$etc/init.d/ssh" <<EOF
#!/bin/sh
echo "\$1" >> /run/ssh.calls
case "\$1" in
    start) exec $sshd ;;
    stop) kill "\$(cat /run/sshd.pid)" ;;
    *) exit 64 ;;
esac
EOF
chmod 0755 "$etc/init.d/ssh"
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
answer=$(on "$client" ssh user@server echo 'it is me' </dev/null) || fail 'ssh does not answer'
typed 'client$' 'ssh user@server echo it is me'
echo "$answer"
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
