#!/usr/bin/env bash
# timeout: 120
# This host with two paths to this target, over both transports: the target strings that discovery gives, also of a service
# that is referred to, and load that verifies while paths become inaccessible and come back.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

addr=127.0.59.1
nqn=nqn.2026-11.io.flexblk:paths
control=$SCRATCH/control.sock
live() { "$FLEXBLK" "$@" --control "$control" > "$SCRATCH/live.log" 2>&1 || fail "$*: $(cat "$SCRATCH/live.log")"; }

"$FLEXBLK" serve -t tcp -a 127.0.58.2 -n $nqn:other mem:1MiB > "$SCRATCH/other.log" 2>&1 &
helper_pids=($!)
serve -a $addr -n $nqn --control "$control" --state "$SCRATCH/state.toml" mem:16MiB
live listener add -t tcp -a $addr -s 4421 --portid 3
live listener add -t rdma -a $addr -s 4421 --portid 4
live listener add -t tcp -a $addr --discovery
live referral add -t tcp -a 127.0.58.2 -s 4420
grep -q '^discovery = true' "$SCRATCH/state.toml" || fail "$(cat "$SCRATCH/state.toml")"
grep -q '^\[\[referral\]\]' "$SCRATCH/state.toml" || fail "$(cat "$SCRATCH/state.toml")"

timeout 20 "$FLEXBLK" discover -t tcp -a $addr -s 8009 --targets > "$SCRATCH/targets" || fail "discover --targets"
cat "$SCRATCH/targets"
[ "$(wc -l < "$SCRATCH/targets")" = 3 ] || fail "two ways to one subsystem, one to the other"
grep -qx "trtype=tcp traddr=127.0.58.2 trsvcid=4420 subnqn=$nqn:other" "$SCRATCH/targets" || fail "the referral was not followed"

# All of it is connected to, and each namespace told with strings that work.
timeout 60 "$FLEXBLK" connect-all -t tcp -a $addr -s 8009 > "$SCRATCH/connected" || fail "connect-all: $(cat "$SCRATCH/connected")"
[ "$(grep -c ': connected$' "$SCRATCH/connected")" = 5 ] || fail "five paths: $(cat "$SCRATCH/connected")"
[ "$(grep -c '^    trtype=' "$SCRATCH/connected")" = 3 ] || fail "three strings: $(cat "$SCRATCH/connected")"
sed -n 's/^    \(trtype=.*\)/\1/p' "$SCRATCH/connected" | while read -r target; do
    timeout 20 "$FLEXBLK" read "$target" --count 4096 > /dev/null || fail "$target"
done

for trtype in tcp rdma; do
    target=$(grep "^trtype=$trtype .*subnqn=$nqn\$" "$SCRATCH/targets")
    case $target in *path=$addr:4421*) ;; *) fail "no second path: $target" ;; esac
    ids=$([ $trtype = tcp ] && echo 2 3 || echo 1 4)
    "$FLEXBLK" bench "$target" --rw randrw --bs 4k --iodepth 8 --time 5 --ramp 0 --verify -o json > "$SCRATCH/bench.json" 2> "$SCRATCH/bench.err" &
    load=$!
    helper_pids+=($load)
    sleep 1
    for id in $ids $ids; do
        live ana set 1 inaccessible --portid $id
        sleep 0.4
        live ana set 1 optimized --portid $id
    done
    wait $load || fail "$trtype: $(cat "$SCRATCH/bench.err")"
    helper_pids=("${helper_pids[0]}")
    grep -q '"errors": 0' "$SCRATCH/bench.json" || fail "$trtype: $(cat "$SCRATCH/bench.json")"
    echo "$trtype: $(grep -m 1 '"ios"' "$SCRATCH/bench.json")"
done
# A service that is gone is told of, and a failure; all else is connected to.
kill "${helper_pids[0]}"
wait "${helper_pids[0]}" || true
helper_pids=()
status=0
timeout 60 "$FLEXBLK" connect-all -t tcp -a $addr -o json > "$SCRATCH/connected" 2> "$SCRATCH/reasons" || status=$?
[ "$status" = 1 ] || fail "connect-all ended with $status though a service is gone"
grep -q '1 referrals led nowhere.*127.0.58.2' "$SCRATCH/reasons" || fail "$(cat "$SCRATCH/reasons")"
[ "$(grep -c '"connected": true' "$SCRATCH/connected")" = 4 ] || fail "$(cat "$SCRATCH/connected")"
live referral remove -t tcp -a 127.0.58.2 -s 4420
"$FLEXBLK" referral list --control "$control" | grep -q 127.0.58.2 && fail "the referral is still there"
stop_server
