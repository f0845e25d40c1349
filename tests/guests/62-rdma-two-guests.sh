#!/usr/bin/env bash
# timeout: 300
# Two stock Linux hosts over RoCEv2 at once, of whose packets one in a hundred is lost: verified loads end without an error,
# slower at worst, and a host of ours on the same namespace reads what they wrote.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

serve -t rdma,tcp -a $host_addr -s $port -n $nqn mem:64MiB mem:64MiB
load() {
    cat <<EOF
mine=$1
EOF
    cat <<'EOF'
rdma_up
tc qdisc add dev eth0 root netem loss 1%
# rxe that sends a command again registers the memory of later ones again, refuses itself and ends the connection
# (docs/linux-hosts.md): the host's wait before it connects again is most of the time that this takes.
connect rdma -i 2 -c 1 --hostid 4a1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d0$mine --hostnqn nqn.2014-08.org.nvmexpress:uuid:4a1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d0$mine
await 20 disk $mine
device=$(disk $mine)
await 10 test -b $device
step "a verified load with loss"
verified $device --size=16M
dd if=/dev/urandom of=/tmp/pattern bs=1M count=1 2> /dev/null
dd if=/tmp/pattern of=$device bs=64k oflag=direct 2> /dev/null
rdma statistic show link rxe0/1
tc -s qdisc show dev eth0
nvme disconnect -n $nqn
! dmesg | grep 'I/O error' || fail "the kernel gave I/O up"
echo "SUM $(sha256sum < /tmp/pattern)"
EOF
}
guest_on 1
guest one 240 < <(load 1) &
first=$!
helper_pids=($first)
guest_on 2
guest two 240 < <(load 2) &
second=$!
helper_pids=($first $second)
wait $first || fail "the first guest"
wait $second || fail "the second guest"
helper_pids=()
for name in one two; do
    told=$(sed -n 's/^SUM \([0-9a-f]*\).*/\1/p' "$SCRATCH/$name.log")
    [ $name = one ] && nsid=1 || nsid=2
    for transport in rdma tcp; do
        spec="trtype=$transport traddr=$host_addr trsvcid=$port subnqn=$nqn ns=$nsid"
        found=$(timeout 20 "$FLEXBLK" read "$spec" --count 1MiB | sha256sum | cut -d' ' -f1)
        [ "$found" = "$told" ] || fail "guest $name, over $transport: not what it wrote"
    done
done
