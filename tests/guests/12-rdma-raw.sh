#!/usr/bin/env bash
# timeout: 240
# The same host as in 11-rdma-connect.sh on a target that sees whole frames (--link raw): it verifies what rdma_rxe put into
# the ICRC of every packet, and finds none wrong.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

truncate -s 64M "$SCRATCH/image"
FLEXBLK_LOG=info serve -t rdma --link raw -a $host_addr -s $port -n $nqn "file:$SCRATCH/image"
grep -q 'ICRC verified' "$SCRATCH/serve.log" || fail "it does not say so: $(cat "$SCRATCH/serve.log")"

guest connect 200 <<'EOF'
rdma_up
for queues in 1 2; do
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
stop_server
told=$(sed -n 's/^SUM \([0-9a-f]*\).*/\1/p' "$SCRATCH/connect.log")
[ "$(head -c 2M "$SCRATCH/image" | sha256sum | cut -d' ' -f1)" = "$told" ] || fail "the image is not what the guest wrote"
counted() { # NAME: what the server counted, as it said when it stopped
    sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log" | sed -n "s/.*name=\"$1\" count=\([0-9]*\).*/\1/p"
}
[ "$(counted link.rx_bad_icrc_packets)" = 0 ] || fail "$(counted link.rx_bad_icrc_packets) ICRCs were wrong"
[ "$(counted link.rx_packets)" -gt 1000 ] || fail "only $(counted link.rx_packets) packets came by frames"
[ "$(counted link.tx_resolving_packets)" -lt 100 ] || fail "$(counted link.tx_resolving_packets) packets left by the socket"
