#!/usr/bin/env bash
# timeout: 120
# Hosts killed in the middle of I/O: their connections and controllers end in bounded time, nothing of them stays
# in the target's memory, and another host sees no error meanwhile. A target that is told to stop tells its hosts.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
# A keep-alive of 15 s, then about 4 s of retries of a goodbye that nobody answers, and a busy machine.
teardown_max_s=25
FLEXBLK_LOG=info serve -a 127.0.60.1 -n $nqn mem:64MiB "file:$SCRATCH/disk.img?create&size=64MiB"
target="traddr=127.0.60.1 subnqn=$nqn"

# await CONNECTIONS SECONDS: fails if there are not as few in time.
await() {
    local until=$((SECONDS + $2))
    until [ "$(told connections)" -le "$1" ]; do
        [ $SECONDS -lt $until ] || fail "$(told connections) connections instead of $1 after $2 s"
        sleep 0.1
    done
}
mappings() { wc -l < "/proc/$server_pid/maps"; }

# kill_hosts NUMBER: as many hosts, five at a time, killed while their I/O is under way.
kill_hosts() {
    local round rw victims wanted tries
    for ((round = 0; round < $1 / 5; round++)); do
        victims=() wanted=$(($(told accepted) + 10)) tries=0
        for rw in randread randwrite read write randrw; do
            mode=native
            [ $((round % 2)) = 0 ] || mode=roce
            "$FLEXBLK" bench "$target ns=2 mode=$mode" --rw $rw --bs 16k --time 60 > "$SCRATCH/victim.log" 2>&1 &
            victims+=($!)
        done
        until [ "$(told accepted)" -ge $wanted ]; do
            tries=$((tries + 1))
            [ $tries -lt 200 ] || fail "$(told accepted) connections accepted, $wanted expected: $(cat "$SCRATCH/victim.log")"
            sleep 0.05
        done
        sleep 0.2
        kill -KILL "${victims[@]}"
        wait "${victims[@]}" 2>/dev/null || true
    done
}

"$FLEXBLK" bench "$target ns=1" --rw randrw --bs 4k --iodepth 16 --verify --time 40 -o json \
    > "$SCRATCH/other.json" 2> "$SCRATCH/other.log" &
other=$!
helper_pids+=($other)
until [ "$(told connections)" = 2 ]; do
    kill -0 $other || fail "the other host: $(cat "$SCRATCH/other.log")"
    sleep 0.05
done
kill_hosts 25
await 2 $teardown_max_s
maps_before=$(mappings) kib_before=$(resident_kib)
kill_hosts 25
await 2 $teardown_max_s
maps_after=$(mappings) kib_after=$(resident_kib)
echo "after 25 kills: $kib_before KiB in $maps_before mappings; after 50: $kib_after KiB in $maps_after"
[ "$maps_after" -le $((maps_before + 2)) ] || fail "mappings stay behind: $maps_before, then $maps_after"
[ "$kib_after" -le $((kib_before + 1024)) ] || fail "memory stays behind: $kib_before KiB, then $kib_after"

wait $other || fail "the other host: $(cat "$SCRATCH/other.log")"
grep -q '"errors": 0' "$SCRATCH/other.json" || fail "the other host: $(cat "$SCRATCH/other.json")"

# Stopped under load: the host answers the goodbye, which ends its connections before the counts are told.
"$FLEXBLK" bench "$target ns=1" --time 60 > "$SCRATCH/victim.log" 2>&1 &
helper_pids=($!)
until [ "$(told connections)" = 2 ]; do
    kill -0 "${helper_pids[0]}" || fail "the last host: $(cat "$SCRATCH/victim.log")"
    sleep 0.05
done
stop_server
count() { sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log" | sed -n "s/.*name=\"target.$1\" count=\([0-9]*\).*/\1/p"; }
[ "$(count connections)" -gt 100 ] || fail "$(count connections) connections were counted"
[ "$(count disconnected)" = "$(count connections)" ] ||
    fail "$(count disconnected) of $(count connections) connections were ended"
