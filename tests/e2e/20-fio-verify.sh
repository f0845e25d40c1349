#!/usr/bin/env bash
# timeout: 150
# fio writes with mixed block sizes and checks every block: memory and file disks, both wire modes.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
truncate -s 256M "$SCRATCH/disk.img"
serve -n $nqn mem:256MiB "file:$SCRATCH/disk.img"
for mode in native roce; do
    for nsid in 1 2; do
        fio --name=verify --ioengine="external:$FLEXBLK_FIO" --traddr=127.0.0.1 --subnqn=$nqn --nsid=$nsid \
            --mode=$mode --rw=randwrite --bsrange=4k-1m --iodepth=32 --numjobs=4 --size=25% \
            --offset_increment=25% --verify=crc32c --do_verify=1 --verify_fatal=1 --verify_state_save=0 \
            --group_reporting=1 > "$SCRATCH/fio.log" 2>&1 ||
            fail "$mode, namespace $nsid: $(cat "$SCRATCH/fio.log")"
        grep -q 'err= 0' "$SCRATCH/fio.log" || fail "$mode, namespace $nsid: $(cat "$SCRATCH/fio.log")"
        echo "verified: $mode, namespace $nsid"
    done
done
# Trim, sync and threads; size not given; congestion control that is not the default.
fio --name=mixed --ioengine="external:$FLEXBLK_FIO" --thread=1 --cc=dcqcn --traddr=127.0.0.1 --subnqn=$nqn --nsid=1 \
    --rw=randtrimwrite --bs=4k --iodepth=1024 --fsync=64 --io_size=64m > "$SCRATCH/fio.log" 2>&1 ||
    fail "trim, sync, threads: $(cat "$SCRATCH/fio.log")"
for mode in native roce; do
    "$FLEXBLK" bench "trtype=rdma traddr=127.0.0.1 subnqn=$nqn ns=1 mode=$mode" --rw randrw --bs 4k \
        --iodepth 64 --jobs 2 --time 2 --ramp 0 --verify -o json > "$SCRATCH/bench.json" || fail "bench --verify, $mode"
done
stop_server
