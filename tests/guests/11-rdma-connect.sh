#!/usr/bin/env bash
# timeout: 240
# A stock Linux host over RoCEv2 (rdma_rxe, nvme-rdma): discovers, connects with 1 and 4 queues, and what it wrote comes
# back, the last time from the image file.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

truncate -s 64M "$SCRATCH/image"
serve -t rdma -a $host_addr -s $port -n $nqn "file:$SCRATCH/image"
capture

guest connect 200 <<'EOF'
rdma_up
step discover
nvme discover -t rdma -a $host_addr -s $port --hostnqn $host_nqn --hostid $host_id > /tmp/discovered
grep -q "subnqn: *$nqn" /tmp/discovered || fail "not discovered: $(cat /tmp/discovered)"
for queues in 1 4; do
    step "connect with $queues queues"
    connect rdma -i $queues
    await 10 test -b /dev/nvme0n1
    written_and_read /dev/nvme0n1
    nvme disconnect -n $nqn
done
step "what rxe counted"
no_unexpected
no_kernel_errors
echo "SUM $(sha256sum < /tmp/pattern)"
EOF
dissected
stop_server
told=$(sed -n 's/^SUM \([0-9a-f]*\).*/\1/p' "$SCRATCH/connect.log")
[ "$(head -c 2M "$SCRATCH/image" | sha256sum | cut -d' ' -f1)" = "$told" ] || fail "the image is not what the guest wrote"
