# Helpers of the scripts that run in a guest.
set -eu

# The shell's own versions of these know less.
blkdiscard() { /usr/bin/blkdiscard "$@"; }
fstrim() { /usr/bin/fstrim "$@"; }
tc() { /usr/bin/tc "$@"; }

fail() {
    echo "FAILED: $*"
    exit 1
}
step() { echo "== $* ($(cut -d. -f1 /proc/uptime) s)"; }

# connect TRANSPORT MORE…: to $nqn, as the same host every time.
connect() {
    transport=$1
    shift
    nvme connect -t "$transport" -a "$host_addr" -s "$port" -n "$nqn" --hostnqn "$host_nqn" --hostid "$host_id" "$@"
}

# rdma_up [MTU]: soft-RoCE on the network device.
rdma_up() {
    ip link set eth0 mtu "${1:-4200}"
    rdma link add rxe0 type rxe netdev eth0
}

# no_unexpected [TOLERATED]: rxe counted nothing that a wire without loss does not bring.
no_unexpected() {
    rdma statistic show link rxe0/1 | sed "s/\(${1:-no such counter}\) [0-9]*//g" > /tmp/counted
    rdma statistic show link rxe0/1
    for counter in duplicate_request out_of_seq_request rcvd_rnr_err send_rnr_err rcvd_seq_err retry_exceeded_err \
        retry_rnr_exceeded_err completer_retry_err send_err; do
        ! grep -q "$counter [1-9]" /tmp/counted || fail "rxe counted: $counter"
    done
}

# await SECONDS COMMAND…: until it succeeds.
await() {
    tries=$(($1 * 10))
    shift
    until "$@" > /dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "not in time: $*"
        sleep 0.1
    done
}

# disk NSID: the device of a namespace. Its name has another number when a later one was found first.
disk() {
    for block in /sys/block/nvme*n*; do
        case ${block##*/} in *c*n*) continue ;; esac
        [ "$(cat "$block/nsid" 2> /dev/null)" = "$1" ] || continue
        echo "/dev/${block##*/}"
        return 0
    done
    return 1
}

# file_system KIND DEVICE: made, a file copied, checked, compared after another mount, trimmed.
file_system() {
    case $1 in
    ext4) mkfs.ext4 -q -F "$2" ;;
    xfs) mkfs.xfs -q -f "$2" ;;
    esac
    mount -t "$1" "$2" /mnt
    dd if=/dev/urandom of=/tmp/original bs=1M count=16 2> /dev/null
    cp /tmp/original /mnt/copy
    sync
    umount /mnt
    case $1 in
    ext4) fsck.ext4 -f -n "$2" ;;
    xfs) xfs_repair -n "$2" > /dev/null 2>&1 || fail xfs_repair ;;
    esac
    mount -t "$1" "$2" /mnt
    cmp /tmp/original /mnt/copy
    rm /mnt/copy
    fstrim -v /mnt
    umount /mnt
}

# verified DEVICE MORE…: fio's mixed reads and writes of mixed sizes, every block compared.
verified() {
    device=$1
    shift
    fio --name=v --filename="$device" --direct=1 --ioengine=libaio --rw=randrw --bsrange=4k-256k --iodepth=16 --size=48M \
        --verify=crc32c --verify_fatal=1 --do_verify=1 --minimal "$@" > /tmp/fio.log 2>&1 || fail "fio: $(cat /tmp/fio.log)"
}

# written_and_read DEVICE: 2 MiB, which stay in /tmp/pattern.
written_and_read() {
    dd if=/dev/urandom of=/tmp/pattern bs=64k count=32 2> /dev/null
    dd if=/tmp/pattern of="$1" bs=64k oflag=direct 2> /dev/null
    dd if="$1" of=/tmp/back bs=4k count=512 iflag=direct 2> /dev/null
    cmp /tmp/pattern /tmp/back
}

# loaded DEVICE: rounds of 24 MiB written at random places of 32 MiB, every block compared, until /tmp/enough is there. Each round has
# its own data (randrepeat): what a lost write left of the round before would else pass.
loaded() {
    rm -f /tmp/enough
    while [ ! -e /tmp/enough ]; do
        fio --name=o --filename="$1" --direct=1 --ioengine=libaio --rw=randwrite --bsrange=4k-64k --iodepth=8 --size=32M \
            --io_size=24M --randrepeat=0 --verify=crc32c --verify_fatal=1 --do_verify=1 --minimal > /tmp/fio.log 2>&1 ||
            fail "fio: $(cat /tmp/fio.log)"
    done
}
# enough PID: ends that load, which found everything as it wrote it.
enough() {
    touch /tmp/enough
    wait "$1"
}
# back: what is asked for on the console, the end of the target, was noticed; and the next target is there.
back() {
    await 20 grep -q connecting /sys/class/nvme/nvme0/state
    await 60 grep -q live /sys/class/nvme/nvme0/state
}

# discarded DEVICE: and then its first MiB reads as zeros.
discarded() {
    blkdiscard "$1"
    blkdiscard -z -l 1M "$1"
    dd if="$1" bs=1M count=1 iflag=direct 2> /dev/null | cmp -n 1048576 - /dev/zero
}

# What the kernel says when it gives something up.
no_kernel_errors() {
    ! dmesg | grep -i '\(nvme\|rxe\|rdma\).*\(error\|fail\|timeout\)\|I/O error' || fail "the kernel saw errors"
}
