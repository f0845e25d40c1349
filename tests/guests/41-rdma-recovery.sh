#!/usr/bin/env bash
# timeout: 400
# A stock Linux host over RoCEv2: twenty connects and disconnects, ten resets under load, and the target killed and started
# again under load. Nothing that was acknowledged is lost.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

truncate -s 64M "$SCRATCH/image"
args=(-t rdma -a $host_addr -s $port -n $nqn "file:$SCRATCH/image")
serve "${args[@]}"
successor recovery "$server_pid" KILL "${args[@]}" &
helper_pids+=($!)

guest recovery 360 <<'EOF'
rdma_up
step "twenty connects and disconnects"
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    connect rdma -i $((round % 4 + 1))
    await 10 disk 1
    nvme disconnect -n $nqn > /dev/null
done
no_unexpected
connect rdma -i 2 --reconnect-delay=1 --ctrl-loss-tmo=60 --keep-alive-tmo=5
await 10 disk 1
device=$(disk 1)
await 10 test -b $device
step "ten resets under load"
loaded $device &
for round in 1 2 3 4 5 6 7 8 9 10; do
    nvme reset /dev/nvme0
    sleep 0.5
done
enough $!
step "the target is killed under load"
loaded $device &
sleep 1
echo END-KILL
back
enough $!
dmesg | grep -i 'nvme' | tail -20
! dmesg | grep 'I/O error' || fail "the kernel gave I/O up"
nvme disconnect -n $nqn
EOF
