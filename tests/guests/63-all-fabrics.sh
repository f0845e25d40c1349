#!/usr/bin/env bash
# timeout: 200
# One namespace, three kinds of hosts at once: Linux over RoCEv2, ours in the native mode, ours over NVMe/TCP. What one wrote
# the others read, and a reservation that Linux holds keeps the others from writing until it is released. Then two of them
# count on one block by Compare and Write, which no step of either gets lost in, and Linux reads the sum.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

serve -t rdma,tcp -a $host_addr -s $port -n $nqn mem:64MiB
guest holder 150 <<'EOF' &
rdma_up
connect rdma -i 1
await 10 disk 1
ns=$(disk 1)
await 10 test -b $ns
dd if=/dev/urandom of=/tmp/pattern bs=64k count=8 2> /dev/null
dd if=/tmp/pattern of=$ns bs=64k oflag=direct 2> /dev/null
echo "SUM $(sha256sum < /tmp/pattern)"
nvme resv-register $ns --nrkey=0xa1 --rrega=0
nvme resv-acquire $ns --crkey=0xa1 --racqa=0 --rtype=1
echo HELD
# Our host writes no word before it may; then this is read.
is() { [ "$(dd if=$ns bs=4k count=1 skip=1000 iflag=direct 2> /dev/null | head -c 4)" = "$1" ]; }
sleep 5
! is EVIL || fail "written in spite of the reservation"
nvme resv-release $ns --crkey=0xa1 --rrela=0 --rtype=1
nvme resv-register $ns --crkey=0xa1 --rrega=1
echo RELEASED
await 60 is 0020
nvme disconnect -n $nqn
EOF
guest=$!
helper_pids=($guest)
says() {
    until grep -aq "^$1" "$SCRATCH/holder.log" 2> /dev/null; do
        kill -0 $guest 2> /dev/null || fail "the guest ended: $(tail -20 "$SCRATCH/holder.log")"
        sleep 0.2
    done
}
spec() { echo "trtype=$1 traddr=$host_addr trsvcid=$port subnqn=$nqn"; }
block() { printf '%s' "$1" && head -c 4092 /dev/zero; }
place=$((1000 * 4096))
says HELD
told=$(sed -n 's/^SUM \([0-9a-f]*\).*/\1/p' "$SCRATCH/holder.log")
for fabric in 'rdma link=udp' 'rdma link=shm' tcp; do
    found=$(timeout 20 "$FLEXBLK" read "$(spec "${fabric%% *}")${fabric#"${fabric%% *}"}" --count 512KiB | sha256sum | cut -d' ' -f1)
    [ "$found" = "$told" ] || fail "over $fabric: not what Linux wrote"
    ! block EVIL | timeout 20 "$FLEXBLK" write "$(spec "${fabric%% *}")${fabric#"${fabric%% *}"}" --offset $place 2> "$SCRATCH/why" ||
        fail "over $fabric: written in spite of the reservation"
    grep -qi 'reservation' "$SCRATCH/why" || fail "over $fabric: not a reservation conflict but: $(cat "$SCRATCH/why")"
done
says RELEASED
block 0000 | timeout 20 "$FLEXBLK" write "$(spec rdma) link=udp" --offset $place
# counts FABRIC WORDS: adds ten, each step by Compare and Write.
counts() {
    local target done=0 was=$SCRATCH/$1.was
    target="$(spec "$1") $2"
    while [ $done -lt 10 ]; do
        timeout 20 "$FLEXBLK" read "$target" --offset $place --count 4KiB > "$was"
        if block "$(printf '%04d' $((10#$(head -c 4 "$was") + 1)))" |
            timeout 20 "$FLEXBLK" write "$target" --offset $place --if-equal "$was" 2> "$was.why"; then
            done=$((done + 1))
        else
            grep -q 'something else' "$was.why" || fail "over $1: $(cat "$was.why")"
        fi
    done
}
counts rdma link=udp &
native=$!
counts tcp hdgst=on
wait $native || fail "counting in the native mode"
wait $guest || fail "the guest"
helper_pids=()
