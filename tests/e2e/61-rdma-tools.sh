#!/usr/bin/env bash
# timeout: 180
# rdma-ping and rdma-bw with each other on this machine: both wire modes, both ways, every verb; nonsense, interruption.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

addr=127.0.61.1
source_addr=127.0.61.2

# tool_server LOG ARGS…: started, and listening.
tool_server() {
    local log=$1 tries=0
    : > "$log"
    shift
    "$FLEXBLK" "$@" > "$log" 2>&1 &
    server=$!
    helper_pids+=($server)
    until grep -q '^listening' "$log"; do
        kill -0 $server 2> /dev/null || fail "$*: $(cat "$log")"
        tries=$((tries + 1))
        [ $tries -lt 200 ] || fail "not listening: $*"
        sleep 0.05
    done
}
# tool_ended LOG: the server with status 0, by itself.
tool_ended() {
    wait $server || fail "the server: $(cat "$1")"
    helper_pids=()
}

for way in 'native auto' 'native udp' 'roce udp'; do
    set -- $way
    words="--mode $1 --link $2"
    tool_server "$SCRATCH/ping.log" rdma-ping -s -a $addr $words
    timeout 30 "$FLEXBLK" rdma-ping -c -a $addr -I $source_addr -C 300 -S 4000 -V $words > "$SCRATCH/pinged" || fail "rdma-ping $way"
    tool_ended "$SCRATCH/ping.log"
    cat "$SCRATCH/pinged"
    grep -q '^300 pings of 4000 octets over .*all compared' "$SCRATCH/pinged" || fail "pinged $way"
    grep -q '^300 pings served' "$SCRATCH/ping.log" || fail "served: $(cat "$SCRATCH/ping.log")"
    [ $1 = native ] || grep -q 'over RoCEv2' "$SCRATCH/pinged" || fail "not RoCEv2"
    for verb in send write read atomic; do
        tool_server "$SCRATCH/bw.log" rdma-bw $verb --bind_source_ip $addr $words --output-format json
        timeout 30 "$FLEXBLK" rdma-bw $verb $addr --bind_source_ip $source_addr -n 2000 $words > "$SCRATCH/measured" || fail "rdma-bw $verb $way"
        tool_ended "$SCRATCH/bw.log"
        cat "$SCRATCH/measured"
        grep -Eq '^(65536|8) +2000 ' "$SCRATCH/measured" || fail "measured $verb $way"
        grep -q '"iterations": 2000' "$SCRATCH/bw.log" || fail "served $verb $way: $(cat "$SCRATCH/bw.log")"
    done
done

# Congestion control is each side's own, and losses on purpose are made good.
words="--mode roce --link udp --cc"
tool_server "$SCRATCH/bw.log" rdma-bw write --bind_source_ip $addr $words swift
timeout 30 "$FLEXBLK" rdma-bw write $addr --bind_source_ip $source_addr -n 500 $words dcqcn --inject drop:write-middle:40 > "$SCRATCH/measured" ||
    fail "rdma-bw --cc"
tool_ended "$SCRATCH/bw.log"
grep -Eq '^65536 +500 ' "$SCRATCH/measured" || fail "measured with --cc: $(cat "$SCRATCH/measured")"

# A stated time; another test than the server's; a port where nobody listens; sizes that cannot be.
tool_server "$SCRATCH/bw.log" rdma-bw write --bind_source_ip $addr
timeout 30 "$FLEXBLK" rdma-bw write $addr -D 0.5 -s 1k --output-format json > "$SCRATCH/measured" || fail "-D"
tool_ended "$SCRATCH/bw.log"
tool_server "$SCRATCH/bw.log" rdma-bw write --bind_source_ip $addr
if timeout 30 "$FLEXBLK" rdma-ping -c -a $addr -p 18515 2> "$SCRATCH/refused"; then fail "rdma-ping pinged rdma-bw"; fi
if wait $server; then fail "a stranger was served"; fi
helper_pids=()
grep -q 'sent 16 octets\|speaks version' "$SCRATCH/bw.log" || fail "no clear error: $(cat "$SCRATCH/bw.log")"
tool_server "$SCRATCH/ping.log" rdma-ping -s -P -v -a $addr
if timeout 30 "$FLEXBLK" rdma-ping -c -a $addr -p 7175 2> "$SCRATCH/refused"; then fail "nobody answered"; fi
grep -q 'nobody listens' "$SCRATCH/refused" || fail "no clear error: $(cat "$SCRATCH/refused")"
status=0
"$FLEXBLK" rdma-ping -c -a $addr -S 25 2> "$SCRATCH/refused" || status=$?
[ $status = 2 ] || fail "-S 25: status $status"

# An interrupted client leaves in order, and says what it measured; so does a server.
"$FLEXBLK" rdma-ping -c -a $addr -C 0 > "$SCRATCH/pinged" &
client=$!
helper_pids+=($client)
sleep 0.7
kill -INT $client
wait $client || fail "the interrupted client"
grep -q 'pings of 64 octets' "$SCRATCH/pinged" || fail "interrupted: $(cat "$SCRATCH/pinged")"
sleep 0.3
grep -q 'a client left after\|connection: the peer ended it' "$SCRATCH/ping.log" || fail "not told: $(tail -3 "$SCRATCH/ping.log")"
grep -q 'server ping data: rdma-ping-0: ' "$SCRATCH/ping.log" || fail "-v"
kill -INT $server
wait $server || fail "the interrupted server: $(tail -3 "$SCRATCH/ping.log")"
helper_pids=()
