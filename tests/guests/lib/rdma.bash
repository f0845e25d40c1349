# Source this first: source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"
# On top of guest.bash: guests that speak RoCEv2 by rdma_rxe. An invariant CRC covers addresses and ports, so nothing may
# translate them: the script starts anew in a network namespace of its own, where guests are on tap devices of a bridge.
if [ -z "${FLEXBLK_OWN_NETWORK:-}" ]; then
    exec env FLEXBLK_OWN_NETWORK=1 unshare --net bash "$0" "$@"
fi
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

# This machine on the bridge; guests are 10.90.0.11 and up.
host_addr=10.90.0.1
port=4420
# 4,096 octets of path MTU.
mtu=${mtu:-4200}

ip link set lo up
ip link add guests0 type bridge
ip link set guests0 mtu "$mtu" up
ip addr add $host_addr/24 dev guests0

# guest_on N: the next guest is number N.
guest_on() {
    ip link show "tap$1" > /dev/null 2>&1 || {
        ip tuntap add "tap$1" mode tap
        ip link set "tap$1" mtu "$mtu" master guests0 up
        ip link set guests0 mtu "$mtu"
    }
    guest_nic=tap,ifname=tap$1,script=no,downscript=no
    guest_mac=52:54:00:90:00:1$1
    guest_addr=10.90.0.1$1/24
}
guest_on 1

# capture: what passes between guests and this machine, from now on, if it can be captured here.
capture_pid=
capture() {
    tshark -D 2> /dev/null | grep -w guests0 > /dev/null || return 0
    tshark -q -i guests0 -w "$SCRATCH/wire.pcapng" > "$SCRATCH/tshark.log" 2>&1 &
    capture_pid=$!
    helper_pids+=($capture_pid)
    sleep 2
}
# dissected [FILTER]: the end of it. An independent reader finds RoCEv2 in both directions and no malformed packet (of those that
# FILTER takes).
dissected() {
    if [ -z "$capture_pid" ]; then
        echo "no dissection: packets cannot be captured here"
        return 0
    fi
    sleep 1
    kill -INT $capture_pid
    wait $capture_pid || true
    local found
    found=$(tshark -r "$SCRATCH/wire.pcapng" -Y infiniband -T fields -e infiniband.bth.opcode 2>> "$SCRATCH/tshark.log" | wc -l)
    [ "$found" -gt 500 ] || fail "tshark read $found RoCEv2 packets: $(cat "$SCRATCH/tshark.log")"
    found=$(tshark -r "$SCRATCH/wire.pcapng" -Y "_ws.malformed${1:+ and $1}" 2>> "$SCRATCH/tshark.log")
    [ -z "$found" ] || fail "malformed: $found"
}
