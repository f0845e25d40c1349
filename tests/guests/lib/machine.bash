# The emulated machine of the guests. A guest takes most of 15 s to start, so one is started, and its state saved when it waits
# for its test; all guests go on from there. Source it.

# Octets of the disk that holds a guest's test: the saved guest knows its size.
test_disk_bytes=65536

# machine FOLDER DISK CONSOLE NETDEV MORE…: what is saved and what goes on must be the same devices; who is at the other end
# of the network device (NETDEV, or none) may differ. A processor of few features, whose flaws are not worked around, has less to
# emulate. Not CMPXCHG16B: QEMU 7.2 makes the flags after it from those of an older instruction, whose operands they then
# show (0x789abe97 where a processor has 0x297). Twice a guest's kernel ended with a double fault and such flags.
machine() {
    local folder=$1 disk=$2 console=$3 network=$4
    shift 4
    qemu-system-x86_64 -accel tcg -cpu Westmere,+rdrand,+rdseed,-cx16 -smp 1 -m 768 -nodefaults -display none -no-reboot \
        -kernel "$folder/vmlinuz" -initrd "$folder/initramfs.gz" \
        -append "console=ttyS0 panic=-1 quiet no_timer_check mitigations=off" \
        -serial "file:$console" -device vmgenid,guid=auto -drive "file=$disk,format=raw,if=none,id=test" \
        -device virtio-blk-pci,drive=test,addr=4 ${network:+-netdev "$network,id=net"} \
        -device "virtio-net-pci,addr=5,mac=52:54:00:90:00:10${network:+,netdev=net}" "$@"
}

# save_state FOLDER: FOLDER/state, a guest that waits for its test.
save_state() {
    local folder=$1 dir status=0
    dir=$(mktemp -d)
    truncate -s $test_disk_bytes "$dir/disk"
    mkfifo "$dir/monitor"
    machine "$folder" "$dir/disk" "$dir/console" "" -monitor stdio < "$dir/monitor" > "$dir/said" 2>&1 &
    local qemu=$! tries=0
    exec 9> "$dir/monitor"
    until grep -q GUEST-READY "$dir/console" 2> /dev/null; do
        kill -0 $qemu 2> /dev/null && [ $tries -lt 1200 ] || {
            kill -KILL $qemu 2> /dev/null || true
            echo "the guest did not start: $(cat "$dir/said" "$dir/console" 2> /dev/null | tail -20)" >&2
            rm -rf "$dir"
            return 1
        }
        tries=$((tries + 1))
        sleep 0.1
    done
    printf '%s\n' 'migrate_set_parameter max-bandwidth 100G' "migrate \"exec:cat > '$folder/state.new'\"" \
        'info migrate' quit >&9
    exec 9>&-
    wait $qemu || status=$?
    if [ $status != 0 ] || ! grep -q 'Migration status: completed' "$dir/said"; then
        echo "the guest's state was not saved ($status): $(tail -20 "$dir/said")" >&2
        rm -rf "$dir"
        return 1
    fi
    mv "$folder/state.new" "$folder/state"
    rm -rf "$dir"
}
