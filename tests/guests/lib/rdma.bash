# Source this first: source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"
# On top of bridge.bash, whose packets keep the addresses and ports that an invariant CRC covers: guests that speak RoCEv2 by
# rdma_rxe.
# 4,096 octets of path MTU.
mtu=${mtu:-4200}
source "$FLEXBLK_ROOT/tests/guests/lib/bridge.bash"

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
