#!/usr/bin/env bash
# timeout: 400
# File systems and verified loads of a stock Linux host over NVMe/TCP, with both digests and without.
#
# Long packets: an emulated processor has much work with each.
mtu=60000
source "$FLEXBLK_ROOT/tests/guests/lib/bridge.bash"

truncate -s 384M "$SCRATCH/image"
serve -t tcp -a $host_addr -s $port -n $nqn "file:$SCRATCH/image" mem:64MiB

guest filesystems 360 <<'EOF'
for digests in '' '-g -G'; do
    connect tcp -i 1 $digests
    await 10 disk 1
    await 10 disk 2
    large=$(disk 1) small=$(disk 2)
    await 10 test -b "$small"
    for kind in ext4 xfs; do
        step "$kind with digests '$digests'"
        file_system $kind $large
    done
    step "fio, verified, digests '$digests'"
    verified $small
    step blkdiscard
    discarded $small
    nvme disconnect -n $nqn
done
no_kernel_errors
EOF
stop_server
