# Takes a stage down when the test lets go of stdin, be it that it is done or that it has died.
# Arguments: scratch directory, namespaces. The processes in them are the test's own.
read -r _
directory=$1
shift
for netns in "$@"; do
    while pids=$(ip netns pids "$netns") && [ -n "$pids" ]; do
        kill -KILL $pids
    done
    ip netns del "$netns"
done
while read -r _ mount kind _; do
    [ "$kind" != cgroup2 ] || rmdir "$mount/${directory##*/}"
done < /proc/self/mounts
[ -n "$KLOPF_KEEP" ] || rm -rf "$directory"
