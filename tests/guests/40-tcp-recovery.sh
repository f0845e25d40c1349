#!/usr/bin/env bash
# timeout: 300
# A stock Linux host over NVMe/TCP under load: ten controller resets, and the target killed and started again. Nothing that
# was acknowledged is lost.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44240
truncate -s 64M "$SCRATCH/image"
target() { serve -t tcp -a 127.0.0.1 -s $port -n $nqn "file:$SCRATCH/image"; }
target
# The guest says on its console when it wants the target killed.
(
    until grep -q '^KILL-TARGET' "$SCRATCH/recovery.log" 2> /dev/null; do sleep 0.2; done
    kill -KILL "$server_pid"
    sleep 2
    touch "$SCRATCH/killed"
) &
killer=$!
helper_pids=($killer)
(
    until [ -e "$SCRATCH/killed" ]; do sleep 0.2; done
    exec "$FLEXBLK" serve -t tcp -a 127.0.0.1 -s $port -n $nqn "file:$SCRATCH/image" >> "$SCRATCH/serve.log" 2>&1
) &
helper_pids+=($!)

guest recovery 240 <<'EOF'
connect tcp -i 2 --reconnect-delay=1 --ctrl-loss-tmo=60 --keep-alive-tmo=5
await 10 test -b /dev/nvme0n1
step "ten resets under load"
overwritten /dev/nvme0n1 256M &
running=$!
for round in 1 2 3 4 5 6 7 8 9 10; do
    nvme reset /dev/nvme0
    sleep 0.5
done
wait $running
step "the target is killed under load"
overwritten /dev/nvme0n1 256M &
running=$!
sleep 1
echo KILL-TARGET
wait $running
step "back: $(cat /sys/class/nvme/nvme0/state)"
[ "$(cat /sys/class/nvme/nvme0/state)" = live ] || fail "not live again"
dmesg | grep -i 'nvme' | tail -20
! dmesg | grep 'I/O error' || fail "the kernel gave I/O up"
nvme disconnect -n $nqn
EOF
server_pid=
