#!/usr/bin/env bash
# timeout: 300
# Verbs with the tools of others on soft-RoCE: our servers with rping and perftest (-R) in a guest, then our clients with
# theirs. SEND, RDMA WRITE, RDMA READ, atomics; data compared.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

verbs='send write read atomic'
# One process has port 4791 of an address: a server of ours on each.
at=2
for verb in $verbs; do
    ip addr add 10.90.0.$at/24 dev guests0
    FLEXBLK_LOG=debug "$FLEXBLK" rdma-bw $verb --bind_source_ip 10.90.0.$at -s 20000 > "$SCRATCH/served-$verb" 2>&1 &
    helper_pids+=($!)
    at=$((at + 1))
done
"$FLEXBLK" rdma-ping -s -v -a $host_addr > "$SCRATCH/served-ping" 2>&1 &
helper_pids+=($!)
servers=("${helper_pids[@]}")
capture

guest tools 240 <<'GUEST' &
rdma_up
step "rping, our server"
rping -c -a $host_addr -C 20 -S 9000 -V -v > /tmp/pinged || fail "rping: $(cat /tmp/pinged)"
[ "$(grep -c '^ping data: rdma-ping-' /tmp/pinged)" = 20 ] || fail "rping: $(cat /tmp/pinged)"
at=2
for verb in send write read atomic; do
    step "ib_${verb}_bw, our server"
    size="-s 20000"
    [ $verb != atomic ] || size=
    ib_${verb}_bw -R -F -d rxe0 $size -n 200 10.90.0.$at > /tmp/measured 2>&1 || fail "ib_${verb}_bw: $(cat /tmp/measured)"
    grep -Eq '^ *(20000|8) +200 ' /tmp/measured || fail "ib_${verb}_bw: $(cat /tmp/measured)"
    at=$((at + 1))
done
step "what rxe counted"
no_unexpected completer_retry_err
step "our client"
rping -s -a 10.90.0.11 -S 9000 -v > /tmp/served 2>&1 &
servers=$!
for verb in send write read atomic; do
    size="-s 20000"
    [ $verb != atomic ] || size=
    port=$((port + 1))
    ib_${verb}_bw -R -F -d rxe0 $size -n 200 -p $port > /tmp/served-$verb 2>&1 &
    servers="$servers $!"
done
sleep 1
echo SERVERS-READY
for server in $servers; do wait $server || echo "a server ended with status $?"; done
cat /tmp/served /tmp/served-*
grep -q 'server ping data: rdma-ping-19: ' /tmp/served || fail "rping's server"
for verb in send write read atomic; do
    grep -Eq '^ *(20000|8) +200 ' /tmp/served-$verb || fail "ib_${verb}_bw's server"
done
no_kernel_errors
GUEST
guest=$!
helper_pids+=($guest)

until grep -aq SERVERS-READY "$SCRATCH/tools.log" 2> /dev/null; do
    kill -0 $guest 2> /dev/null || fail "the guest ended: $(tail -20 "$SCRATCH/tools.log") $(tail -n 5 "$SCRATCH"/served-*)"
    sleep 0.3
done
for server in "${servers[@]}"; do
    wait $server || fail "a server of ours: $(tail -n 5 "$SCRATCH"/served-*)"
done
grep -q '^20 pings served' "$SCRATCH/served-ping" || fail "$(cat "$SCRATCH/served-ping")"
grep -q 'server ping data: rdma-ping-19: ' "$SCRATCH/served-ping" || fail "$(cat "$SCRATCH/served-ping")"
for verb in $verbs; do
    grep -Eq '^(20000|8) +200 ' "$SCRATCH/served-$verb" || fail "$verb: $(cat "$SCRATCH/served-$verb")"
done
timeout 60 "$FLEXBLK" rdma-ping -c -a 10.90.0.11 -I $host_addr -C 20 -S 9000 -V || fail "rdma-ping"
for verb in $verbs; do
    port=$((port + 1))
    timeout 60 "$FLEXBLK" rdma-bw $verb 10.90.0.11 --bind_source_ip $host_addr -s 20000 -n 200 -p $port || fail "rdma-bw $verb"
done
wait $guest || fail "the guest"
# tshark looks for an EtherType at the beginning of a SEND, and has not enough in messages of four octets and eight, whoever
# sends them.
dissected 'frame.len > 66'
helper_pids=()
