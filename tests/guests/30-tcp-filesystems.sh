#!/usr/bin/env bash
# timeout: 400
# File systems and verified loads of a stock Linux host over NVMe/TCP, with both digests and without.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44230
truncate -s 384M "$SCRATCH/image"
serve -t tcp -a 127.0.0.1 -s $port -n $nqn "file:$SCRATCH/image" mem:64MiB

guest filesystems 360 <<'EOF'
for digests in '' '-g -G'; do
    connect tcp -i 1 $digests
    await 10 disk 1
    await 10 disk 2
    large=$(disk 1) small=$(disk 2)
    await 10 test -b "$small"
    for kind in ext4 xfs; do
        step "$kind with digests '$digests'"
        case $kind in
        ext4) mkfs.ext4 -q -F $large ;;
        xfs) mkfs.xfs -q -f $large ;;
        esac
        mount -t $kind $large /mnt
        dd if=/dev/urandom of=/tmp/original bs=1M count=16 2> /dev/null
        cp /tmp/original /mnt/copy
        sync
        umount /mnt
        case $kind in
        ext4) fsck.ext4 -f -n $large ;;
        xfs) xfs_repair -n $large > /dev/null 2>&1 || fail xfs_repair ;;
        esac
        mount -t $kind $large /mnt
        cmp /tmp/original /mnt/copy
        rm /mnt/copy
        fstrim -v /mnt
        umount /mnt
    done
    step "fio, verified, digests '$digests'"
    fio --name=v --filename=$small --direct=1 --ioengine=libaio --rw=randrw --bsrange=4k-256k --iodepth=16 \
        --size=48M --verify=crc32c --verify_fatal=1 --do_verify=1 --minimal > /tmp/fio.log 2>&1 || fail "fio: $(cat /tmp/fio.log)"
    step blkdiscard
    blkdiscard $small
    blkdiscard -z -l 1M $small
    dd if=$small bs=1M count=1 iflag=direct 2> /dev/null | cmp -n 1048576 - /dev/zero
    nvme disconnect -n $nqn
done
! dmesg | grep -i 'nvme.*\(error\|fail\|timeout\)\|I/O error' || fail "the kernel saw errors"
EOF
stop_server
