#!/usr/bin/env bash
# timeout: 90
# What the data path promises, at both ends, reads and writes: no copy of payload on the way out, one on the way in, and in
# native mode at least four I/Os of 32 for a system call. Looks that find nothing do not count: how many there are depends on
# how fast the other side is just then.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
addr=127.0.30.1

# value NAME: of the client's report. count NAME: of the server's, told when it ends.
value() { sed -n "s/.*\"$1\": \([0-9.]*\),*/\1/p" "$SCRATCH/report.json"; }
count() { sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log" | sed -n "s/.*name=\"$1\" count=\([0-9]*\).*/\1/p"; }
# holds WHAT EXPRESSION: an awk condition.
holds() { awk "BEGIN { exit !($2) }" || fail "$rw, $mode: $1: $2"; }

# run MODE RW: one load on a target of its own, whose counters it leaves behind.
run() {
    mode=$1 rw=$2
    FLEXBLK_LOG=info serve -a $addr -n $nqn mem:64MiB
    "$FLEXBLK" bench "trtype=rdma traddr=$addr subnqn=$nqn ns=1 mode=$mode link=udp" --rw "$rw" --bs 4k --iodepth 32 --time 2 \
        --ramp 0.2 -o json > "$SCRATCH/report.json"
    stop_server
    bytes=$(($(count target.io_commands) * 4096))
}

batched() {
    [ $mode = native ] || return 0
    holds "system calls per I/O at the host" "$(value syscalls_per_io) - $(value empty_polls_per_io) <= 0.25"
    calls="$(count link.tx_syscalls) + $(count link.rx_syscalls) - $(count link.rx_empty_syscalls) + $(count target.sleeps)"
    holds "system calls per I/O at the target" "($calls) / $(count target.io_commands) <= 0.25"
}

for mode in native roce; do
    run $mode randread
    holds "copies per octet that the target sent" "$(count link.tx_copied_bytes) == 0"
    holds "copies per octet that the host received" "$(value rx_placed_per_byte) >= 1 && $(value rx_placed_per_byte) < 1.02"
    batched
    run $mode randwrite
    holds "copies per octet that the host sent" "$(value tx_copies_per_byte) == 0"
    copied="($(count dpa.placed_bytes) + $(count target.incapsule_copied_bytes)) / $bytes"
    holds "copies per octet that the target received" "$copied >= 1 && $copied < 1.03"
    batched
done
