#!/usr/bin/env bash
# image.sh FOLDER: makes of FOLDER/kernel (kernel.sh) FOLDER/vmlinuz and FOLDER/initramfs.gz, a Debian 6.12 guest with the NVMe-oF
# hosts and targets of its kernel, nvme-cli, fio, rping, perftest and tools for file systems, and FOLDER/state, such a guest
# that waits for a test. What is there already stays.
set -euo pipefail
export LC_ALL=C

folder=$1
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$lib/machine.bash"
modules=(virtio_pci virtio_net virtio_blk nvme-tcp nvme-rdma rdma_rxe rdma_ucm nvmet nvmet-tcp nvmet-rdma brd null_blk
    ext4 xfs crc32_generic crc32c_generic dm-mod sch_netem tls gcm ccm ctr ghash-generic aesni-intel)
programs=(nvme fio mkfs.ext4 mkfs.xfs fsck.ext4 xfs_repair fstrim blkdiscard blockdev rdma ip tc
    rping ib_send_bw ib_write_bw ib_read_bw ib_atomic_bw)

fail() {
    echo "image.sh: $*" >&2
    exit 1
}

# copy_program NAME|PATH ROOT: with the libraries that it loads.
copy_program() {
    local path library
    path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$1") || fail "$1 is not installed: cargo xtask setup"
    install -D "$(readlink -f "$path")" "$2/usr/bin/$(basename "$1")"
    ldd "$path" 2> /dev/null | grep -o '/[^ ]*' | while read -r library; do
        [ -e "$2$library" ] || install -D "$(readlink -f "$library")" "$2$library"
    done
}

# copy_verbs ROOT: what libibverbs loads for rdma_rxe.
copy_verbs() {
    local driver
    driver=$(find /usr/lib -name 'librxe-rdmav*.so' -path '*libibverbs*' | head -1)
    [ -n "$driver" ] || fail "librxe is not installed (ibverbs-providers): cargo xtask setup"
    install -D "$driver" "$1$driver"
    install -D /etc/libibverbs.d/rxe.driver "$1/etc/libibverbs.d/rxe.driver"
}

# copy_modules ROOT: those of the list with what they need, decompressed, and the order to load them in.
copy_modules() {
    local version tree
    version=$(cat "$folder/kernel/version")
    tree=$folder/kernel/tree
    depmod -b "$tree" "$version"
    for module in "${modules[@]}"; do
        modprobe --show-depends -d "$tree" -S "$version" "$module" 2> /dev/null || true
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' > "$folder/kernel/order"
    mkdir -p "$1/modules"
    while read -r file; do
        case $file in
        *.xz) xz -dc "$file" > "$1/modules/$(basename "${file%.xz}")" ;;
        *) cp "$file" "$1/modules/" ;;
        esac
        basename "${file%.xz}" >> "$1/modules/order"
    done < "$folder/kernel/order"
}

is_stale() {
    [ -s "$folder/initramfs.gz" ] || return 0
    for part in image.sh init tlshd.c; do [ ! "$lib/$part" -nt "$folder/initramfs.gz" ] || return 0; done
    return 1
}
if is_stale; then
    root=$folder/root
    rm -rf "$root" && mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,etc/nvme,mnt}
    copy_modules "$root"
    gcc -Wall -Wextra -O1 -o "$folder/tlshd" "$lib/tlshd.c" -lssl -lcrypto
    for program in "${programs[@]}" "$folder/tlshd"; do copy_program "$program" "$root"; done
    copy_verbs "$root"
    install "$(command -v busybox)" "$root/bin/busybox"
    install -D "$lib/init" "$root/init"
    : > "$root/etc/mtab"
    cp "$folder/kernel/tree/boot/vmlinuz-$(cat "$folder/kernel/version")" "$folder/vmlinuz"
    (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) > "$folder/initramfs.new"
    mv "$folder/initramfs.new" "$folder/initramfs.gz"
fi
if [ ! "$folder/state" -nt "$folder/initramfs.gz" ] || [ "$lib/machine.bash" -nt "$folder/state" ]; then
    save_state "$folder"
fi
