# Helpers of the scripts that run in a guest.
set -eu

# The shell's own versions of these know less.
blkdiscard() { /usr/bin/blkdiscard "$@"; }
fstrim() { /usr/bin/fstrim "$@"; }

fail() {
    echo "FAILED: $*"
    exit 1
}
step() { echo "== $* ($(cut -d. -f1 /proc/uptime) s)"; }

# connect TRANSPORT MORE…: to $nqn, as the same host every time.
connect() {
    transport=$1
    shift
    nvme connect -t "$transport" -a "$host_addr" -s "$port" -n "$nqn" --hostnqn "$host_nqn" --hostid "$host_id" "$@"
}

# rdma_up [MTU]: soft-RoCE on the network device.
rdma_up() {
    ip link set eth0 mtu "${1:-4200}"
    rdma link add rxe0 type rxe netdev eth0
}

# await SECONDS COMMAND…: until it succeeds.
await() {
    tries=$(($1 * 10))
    shift
    until "$@" > /dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "not in time: $*"
        sleep 0.1
    done
}

# disk NSID: the device of a namespace. Its name has another number when a later one was found first.
disk() {
    for block in /sys/block/nvme*n*; do
        case ${block##*/} in *c*n*) continue ;; esac
        [ "$(cat "$block/nsid" 2> /dev/null)" = "$1" ] || continue
        echo "/dev/${block##*/}"
        return 0
    done
    return 1
}
