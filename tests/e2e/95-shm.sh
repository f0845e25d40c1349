#!/usr/bin/env bash
# timeout: 120
# Shared memory between processes of one machine: found by itself, the same data as by UDP, in both wire modes; a
# target or a host that is killed leaves nothing behind that keeps the other from going on; UDP where it is not offered.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
addr=127.0.95.1
port="traddr=$addr subnqn=$nqn"

# bench NAME TARGET ARGS…: a verified load; its report is $SCRATCH/NAME.json.
bench() {
    local name=$1 target=$2
    shift 2
    timeout 60 "$FLEXBLK" bench "$target" "$@" -o json > "$SCRATCH/$name.json" 2> "$SCRATCH/$name.log" ||
        fail "$name: $(cat "$SCRATCH/$name.log")"
    grep -q '"errors": 0' "$SCRATCH/$name.json" || fail "$name: $(cat "$SCRATCH/$name.json")"
}
# went NAME LINK: by which way it went, at its end.
went() { grep -q "\"link\": \"$2\"" "$SCRATCH/$1.json" || fail "$1 did not go by $2: $(head -3 "$SCRATCH/$1.json")"; }
sent_near() { sed -n 's/.*"link.shm_tx_packets": \([0-9]*\).*/\1/p' "$SCRATCH/$1.json"; }

FLEXBLK_LOG=info serve -a $addr -n $nqn mem:64MiB mem:64MiB
grep -q '^listening.*shared memory' "$SCRATCH/serve.log" || fail "shared memory is not offered"

# Found by itself, in both modes and beside hosts that come by UDP, all checked.
bench udp "$port link=udp ns=2" --rw randrw --verify --time 2 &
udp=$!
bench auto "$port" --rw randrw --verify --time 1
wait $udp || exit 1
went udp udp
went auto shm
[ "$(sent_near auto)" -gt 1000 ] || fail "auto: $(sent_near auto) packets by shared memory"
bench roce "$port mode=roce link=shm" --rw randrw --bs 16k --verify --time 1
went roce shm
bench busy "$port" --rw randrw --bs 128k --iodepth 64 --poll busy --verify --time 1
went busy shm
bench many "$port" --rw randread --jobs 20 --iodepth 8 --time 1
went many shm

# The same octets by every way; tapped, a host goes by UDP.
head -c 64M /dev/urandom > "$SCRATCH/image"
for pair in 'udp shm' 'shm udp' 'auto udp' 'udp auto'; do
    read -r write read <<< "$pair"
    timeout 60 "$FLEXBLK" write "$port link=$write" < "$SCRATCH/image"
    timeout 60 "$FLEXBLK" read "$port link=$read" | cmp - "$SCRATCH/image" || fail "written by $write, read by $read"
    # Another image for the next pair, so that a write that did nothing is seen.
    { tail -c +4097 "$SCRATCH/image" && head -c 4096 "$SCRATCH/image"; } > "$SCRATCH/next"
    mv "$SCRATCH/next" "$SCRATCH/image"
done
bench tapped "$port" --time 0.1 --ramp 0 --iodepth 1 --pcap "$SCRATCH/tap.pcap"
went tapped udp
timeout 20 "$FLEXBLK" discover -a $addr > "$SCRATCH/discovered" || fail "discover"
grep -q $nqn "$SCRATCH/discovered" || fail "discover: $(cat "$SCRATCH/discovered")"

# Hosts that are killed leave no mapping behind.
maps() { grep -c 'memfd:flexblk-shm' "/proc/$server_pid/maps" || true; }
for round in 1 2 3; do
    victims=()
    for _ in 1 2 3 4; do
        "$FLEXBLK" bench "$port" --rw randrw --time 50 > "$SCRATCH/victim.log" 2>&1 &
        victims+=($!)
    done
    helper_pids=("${victims[@]}")
    tries=0
    until [ "$(maps)" -ge 4 ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || fail "round $round: hosts did not come by shared memory: $(cat "$SCRATCH/victim.log")"
        sleep 0.05
    done
    kill -KILL "${victims[@]}"
    wait "${victims[@]}" 2>/dev/null || true
    helper_pids=()
    bench "after-$round" "$port link=shm" --rw randrw --verify --time 0.5
done
tries=0
until [ "$(maps)" = 0 ]; do
    tries=$((tries + 1))
    [ $tries -lt 30 ] || fail "$(maps) mappings stay behind"
    sleep 0.1
done

# The target is killed under load and comes back: by shared memory again, then, if it is not offered any more, by UDP.
for way in shm udp; do
    bench "back-$way" "$port" --rw randrw --time 12 --iodepth 16 &
    load=$!
    helper_pids=($load)
    fio=
    if [ $way = shm ]; then
        timeout 60 fio --name=job --ioengine="external:$FLEXBLK_FIO" --traddr=$addr --subnqn=$nqn --link=shm --rw=randrw \
            --bs=4k --iodepth=16 --time_based --runtime=12 > "$SCRATCH/fio.log" 2>&1 &
        fio=$!
        helper_pids+=($fio)
    fi
    sleep 2
    stop_server KILL
    sleep 1
    offer=auto
    [ $way = shm ] || offer=udp
    FLEXBLK_LOG=info serve -a $addr -n $nqn --link $offer mem:64MiB
    wait $load || fail "the load did not survive the target's end"
    went "back-$way" $way
    [ -z "$fio" ] || wait $fio || fail "fio did not survive the target's end: $(cat "$SCRATCH/fio.log")"
    helper_pids=()
done

# Not offered: by UDP without a word, and an error that says what to do for who insists.
bench fallback "$port" --rw randrw --verify --time 0.5
went fallback udp
status=0
timeout 20 "$FLEXBLK" bench "$port link=shm" --time 1 2> "$SCRATCH/why" || status=$?
[ $status = 1 ] || fail "link=shm without an offer ended with status $status"
grep -q 'link=shm: no target .* offers shared memory.*--link udp.*link=auto' "$SCRATCH/why" || fail "$(cat "$SCRATCH/why")"
stop_server
