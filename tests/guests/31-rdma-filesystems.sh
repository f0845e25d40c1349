#!/usr/bin/env bash
# timeout: 400
# File systems and verified loads of a stock Linux host over RoCEv2, with path MTUs of 4,096 and 1,024.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

truncate -s 384M "$SCRATCH/image"
serve -t rdma -a $host_addr -s $port -n $nqn "file:$SCRATCH/image" mem:64MiB

guest filesystems 360 <<'EOF'
for octets in 4200 1500; do
    rdma_up $octets
    connect rdma -i 1
    await 10 disk 1
    await 10 disk 2
    large=$(disk 1) small=$(disk 2)
    await 10 test -b "$small"
    for kind in ext4 xfs; do
        step "$kind, MTU $octets"
        file_system $kind $large
    done
    step "fio, verified, MTU $octets"
    verified $small
    step blkdiscard
    discarded $small
    nvme disconnect -n $nqn
    no_unexpected
    rdma link delete rxe0
done
no_kernel_errors
EOF
stop_server
