#!/usr/bin/env bash
# timeout: 300
# This host against Linux's target: discovery, every setting of digests, fio, and under load that verifies a port that goes
# and comes back, and fail-over between two ports by asymmetric access and by the loss of one.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44280
second=44281
orders=44282
guest_forward="hostfwd=tcp:127.0.0.1:$port-:4420,hostfwd=tcp:127.0.0.1:$second-:4421,hostfwd=tcp:127.0.0.1:$orders-:9000"

guest nvmet 270 <<'EOG' &
cd /sys/kernel/config/nvmet
mkdir subsystems/$nqn subsystems/$nqn/namespaces/1
echo 1 > subsystems/$nqn/attr_allow_any_host
echo /dev/ram0 > subsystems/$nqn/namespaces/1/device_path
echo 1 > subsystems/$nqn/namespaces/1/enable
for id in 1 2; do
    mkdir ports/$id
    echo tcp > ports/$id/addr_trtype
    echo ipv4 > ports/$id/addr_adrfam
    echo 10.0.2.15 > ports/$id/addr_traddr
    echo $((4419 + id)) > ports/$id/addr_trsvcid
    ln -s /sys/kernel/config/nvmet/subsystems/$nqn ports/$id/subsystems/
done
echo TARGET-READY
# Does what it is told, a word at a time, and says so.
while :; do
    order=$(nc -l -p 9000 || true)
    case ${order% *} in
    end) echo "DONE $order" && break ;;
    close-*) rm -f ports/${order:6:1}/subsystems/$nqn ;;
    open-*) ln -sf /sys/kernel/config/nvmet/subsystems/$nqn ports/${order:5:1}/subsystems/ ;;
    optimized-* | inaccessible-*)
        id=${order% *}
        echo ${id%-*} > ports/${id#*-}/ana_groups/1/ana_state
        ;;
    *) continue ;;
    esac
    echo "DONE $order"
done
! dmesg | grep 'BUG:\|Oops' || fail "the guest's kernel: see above"
EOG
guest=$!
helper_pids=($guest)
log=$SCRATCH/nvmet.log
until grep -aq TARGET-READY "$log" 2> /dev/null; do
    kill -0 $guest 2> /dev/null || fail "the guest ended: $(tail -20 "$log")"
    sleep 0.3
done

# order WORD: has the guest do it; an order that met nobody is given again.
number=0
order() {
    number=$((number + 1))
    for _ in $(seq 20); do
        { echo "$1 $number" > /dev/tcp/127.0.0.1/$orders; } 2> /dev/null || true
        for _ in $(seq 10); do
            ! grep -aq "^DONE $1 $number" "$log" || return 0
            sleep 0.1
        done
    done
    fail "the guest does not do: $1: $(tail -5 "$log")"
}
spec="trtype=tcp traddr=127.0.0.1 trsvcid=$port subnqn=$nqn"
# load NAME SPEC SECONDS: verified load in the background.
load() {
    "$FLEXBLK" bench "$2" --rw randrw --bs 4k --iodepth 8 --time "$3" --ramp 0 --verify -o json > "$SCRATCH/$1.json" 2> "$SCRATCH/$1.err" &
    loaded=$!
    helper_pids+=($loaded)
    sleep 2
}
# survived NAME: it ended without an error, and did not stand still all the time.
survived() {
    wait $loaded || fail "$1: $(cat "$SCRATCH/$1.err")"
    helper_pids=($guest)
    echo "$1: $(grep -m 1 '"ios"' "$SCRATCH/$1.json") $(grep -m 1 '"errors"' "$SCRATCH/$1.json")"
    grep -q '"errors": 0' "$SCRATCH/$1.json" || fail "$1: $(cat "$SCRATCH/$1.json")"
}

echo "== discovery"
timeout 20 "$FLEXBLK" discover -t tcp -a 127.0.0.1 -s $port > "$SCRATCH/log" || fail "discover"
grep -q "subnqn: $nqn" "$SCRATCH/log" || fail "$(cat "$SCRATCH/log")"
timeout 20 "$FLEXBLK" discover -t tcp -a 127.0.0.1 -s $second --targets > "$SCRATCH/targets"
grep -q "traddr=10.0.2.15 trsvcid=4421 subnqn=$nqn" "$SCRATCH/targets" || fail "$(cat "$SCRATCH/targets")"

echo "== digests"
head -c 2M /dev/urandom > "$SCRATCH/image"
for digests in hdgst=off\ ddgst=off hdgst=on\ ddgst=off hdgst=off\ ddgst=on hdgst=on\ ddgst=on; do
    timeout 40 "$FLEXBLK" write "$spec $digests" < "$SCRATCH/image" || fail "$digests: write"
    timeout 40 "$FLEXBLK" read "$spec $digests" --count 2MiB | cmp - "$SCRATCH/image" || fail "$digests: read"
done

echo "== fio"
timeout 60 fio --name=verify --ioengine="external:$FLEXBLK_FIO" --trtype=tcp --traddr=127.0.0.1 --trsvcid=$port --subnqn=$nqn \
    --nsid=1 --rw=randwrite --bsrange=4k-64k --iodepth=16 --size=4m --verify=crc32c --do_verify=1 --verify_fatal=1 \
    --verify_state_save=0 > "$SCRATCH/fio.log" 2>&1 || fail "fio: $(cat "$SCRATCH/fio.log")"
grep -q 'err= 0' "$SCRATCH/fio.log" || fail "fio: $(cat "$SCRATCH/fio.log")"

echo "== a port goes and comes back under load"
load reconnect "$spec" 8
order close-1
sleep 2
order open-1
survived reconnect

echo "== fail-over between two ports under load"
load failover "$spec path=127.0.0.1:$second" 16
order inaccessible-1
sleep 1
order optimized-1
order inaccessible-2
sleep 1
order optimized-2
order close-1
sleep 1
order open-1
sleep 2
order close-2
sleep 1
order open-2
survived failover

echo "== fio fails over"
# fio takes a colon for the end of a file's name, unless it is told.
timeout 60 fio --name=verify --ioengine="external:$FLEXBLK_FIO" --trtype=tcp --traddr=127.0.0.1 --trsvcid=$port --subnqn=$nqn \
    --nsid=1 --filename="path=127.0.0.1\\:$second" --rw=randwrite --bs=4k --iodepth=8 --size=8m --io_size=4g --runtime=8 \
    --verify=crc32c --verify_backlog=64 --verify_fatal=1 --verify_state_save=0 > "$SCRATCH/fio.log" 2>&1 &
loaded=$!
helper_pids+=($loaded)
sleep 2
order inaccessible-1
sleep 1
order close-1
sleep 1
order open-1
order optimized-1
order close-2
wait $loaded || fail "fio: $(cat "$SCRATCH/fio.log")"
helper_pids=($guest)
grep -q 'err= 0' "$SCRATCH/fio.log" || fail "fio: $(cat "$SCRATCH/fio.log")"
grep 'write:' "$SCRATCH/fio.log"
order end
wait $guest || fail "the guest"
helper_pids=()
