#!/usr/bin/env bash
# timeout: 60
# What the data path promises: no copy of payload on the way out, one on the way in.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
serve -n $nqn mem:64MiB
target="trtype=rdma traddr=127.0.0.1 subnqn=$nqn ns=1"
for rw in randread randwrite; do
    "$FLEXBLK" bench "$target" --rw $rw --bs 4k --iodepth 32 --time 2 -o json > "$SCRATCH/$rw.json"
done
value() { sed -n "s/.*\"$1\": \([0-9.]*\),*/\1/p" "$SCRATCH/$2.json"; }
for rw in randread randwrite; do
    copies=$(value tx_copies_per_byte $rw)
    [ "$copies" = 0.0 ] || fail "$rw: $copies copies per octet sent"
    awk -v n="$(value syscalls_per_io $rw)" 'BEGIN { exit !(n <= 0.25) }' ||
        fail "$rw: $(value syscalls_per_io $rw) system calls per I/O"
done
awk -v n="$(value rx_placed_per_byte randread)" 'BEGIN { exit !(n >= 1 && n < 1.02) }' ||
    fail "$(value rx_placed_per_byte randread) copies per octet received"
stop_server
