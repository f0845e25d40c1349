#!/usr/bin/env bash
# timeout: 300
# A stock Linux host over NVMe/TCP under load: ten controller resets, and the target stopped in order, then killed, and
# started again. Nothing that was acknowledged is lost.
#
# Long packets: an emulated processor has much work with each.
mtu=60000
source "$FLEXBLK_ROOT/tests/guests/lib/bridge.bash"

truncate -s 64M "$SCRATCH/image"
args=(-t tcp -a $host_addr -s $port -n $nqn "file:$SCRATCH/image")
serve "${args[@]}"
successor recovery "$server_pid" TERM "${args[@]}" &
helper_pids+=($!)
successor recovery $! KILL "${args[@]}" &
helper_pids+=($!)

guest recovery 240 <<'EOF'
connect tcp -i 2 --reconnect-delay=1 --ctrl-loss-tmo=60 --keep-alive-tmo=5
await 10 test -b /dev/nvme0n1
step "ten resets under load"
loaded /dev/nvme0n1 &
for round in 1 2 3 4 5 6 7 8 9 10; do
    nvme reset /dev/nvme0
    sleep 0.5
done
enough $!
step "the target is stopped under load"
loaded /dev/nvme0n1 &
sleep 1
echo END-TERM
back
enough $!
step "the target is killed under load"
# This kernel gives SIGPIPE to the program whose I/O it writes to a connection that was reset.
(trap '' PIPE && loaded /dev/nvme0n1) &
sleep 1
echo END-KILL
back
enough $!
dmesg | grep -i 'nvme' | tail -20
! dmesg | grep 'I/O error' || fail "the kernel gave I/O up"
nvme disconnect -n $nqn
EOF
server_pid=
