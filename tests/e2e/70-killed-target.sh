#!/usr/bin/env bash
# timeout: 120
# The target dies under load. Started again, every host goes on as contract.rs says and no acknowledged write is
# lost; not started again, every host says so after fast_io_fail (30 s from the loss) with status 1, and ends.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
# The host's own 30 s, the transport's retries before and a busy machine.
says_so_within_s=50

# host NAME COMMAND…: in the background; its output, status and end (in seconds) are kept under NAME.
host() {
    local name=$1
    shift
    (
        status=0
        "$@" > "$SCRATCH/$name.out" 2> "$SCRATCH/$name.err" || status=$?
        echo "$status $(date +%s)" > "$SCRATCH/$name.end"
    ) &
    helper_pids+=($!)
}
# ended NAME STATUS: NAME ended with STATUS.
ended() {
    local status when
    read -r status when < "$SCRATCH/$1.end"
    [ "$status" = "$2" ] || fail "$1 ended with status $status: $(cat "$SCRATCH/$1.out" "$SCRATCH/$1.err")"
}
fio_job() { # ADDRESS NSID SECONDS
    fio --name=job --ioengine="external:$FLEXBLK_FIO" --traddr="$1" --subnqn=$nqn --nsid="$2" --rw=randrw --bs=4k \
        --iodepth=16 --time_based --runtime="$3"
}

for disk in a b c d; do truncate -s 64M "$SCRATCH/$disk.img"; done
# The one that stays dead.
serve -a 127.0.70.2 -n $nqn "file:$SCRATCH/c.img" "file:$SCRATCH/d.img"
for_good=$server_pid
helper_pids+=("$for_good")
gone="traddr=127.0.70.2 subnqn=$nqn"
host gone-native "$FLEXBLK" bench "$gone" --rw randread --time 3600
host gone-roce "$FLEXBLK" bench "$gone mode=roce" --rw randread --time 3600
host gone-fio fio_job 127.0.70.2 2 3600
# The one that comes back. What is written and read here is checked, by number of the write.
serve -a 127.0.70.1 -n $nqn "file:$SCRATCH/a.img" "file:$SCRATCH/b.img"
back="traddr=127.0.70.1 subnqn=$nqn"
host back-native "$FLEXBLK" bench "$back ns=1" --rw randrw --verify --time 10
host back-roce "$FLEXBLK" bench "$back mode=roce ns=1" --rw randread --time 10
host back-fio fio_job 127.0.70.1 2 10

sleep 2
kill -KILL "$for_good"
killed=$(date +%s)
stop_server KILL
sleep 2
serve -a 127.0.70.1 -n $nqn "file:$SCRATCH/a.img" "file:$SCRATCH/b.img"
until [ -e "$SCRATCH/back-native.end" ] && [ -e "$SCRATCH/back-roce.end" ] && [ -e "$SCRATCH/back-fio.end" ]; do
    [ $(($(date +%s) - killed)) -lt 60 ] || fail "hosts of the restarted target do not end"
    sleep 0.2
done
for name in back-native back-roce back-fio; do ended $name 0; done
grep -q ' 0 errors' "$SCRATCH/back-native.out" || fail "back-native: $(cat "$SCRATCH/back-native.out")"
stop_server

until [ -e "$SCRATCH/gone-native.end" ] && [ -e "$SCRATCH/gone-roce.end" ] && [ -e "$SCRATCH/gone-fio.end" ]; do
    [ $(($(date +%s) - killed)) -lt $says_so_within_s ] || fail "a host still waits for a target that is gone"
    sleep 0.2
done
for name in gone-native gone-roce gone-fio; do
    ended $name 1
    read -r _ when < "$SCRATCH/$name.end"
    [ $((when - killed)) -ge 25 ] || fail "$name gave up after $((when - killed)) s, before fast_io_fail"
    echo "$name gave up $((when - killed)) s after the kill"
done
for name in gone-native gone-roce; do
    grep -q 'I/Os failed, first: Read at .*no answer from 127.0.70.2:4420' "$SCRATCH/$name.err" ||
        fail "$name gives no reason: $(cat "$SCRATCH/$name.err")"
    grep -q ' 32 errors' "$SCRATCH/$name.out" || fail "$name went on asking: $(head -2 "$SCRATCH/$name.out")"
done
grep -q 'Transport endpoint is not connected' "$SCRATCH/gone-fio.err" "$SCRATCH/gone-fio.out" ||
    fail "fio gives no reason: $(cat "$SCRATCH/gone-fio.err")"
