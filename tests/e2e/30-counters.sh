#!/usr/bin/env bash
# timeout: 90
# What the data path promises, at both ends, reads and writes: no copy of payload on the way out, one on the way in,
# and at depth 32 one system call serves several I/Os, those that only look or sleep included. Wanted is one for four. The
# target keeps to that; how many a host needs changes with the machine (0.23 to 0.34 were seen with one program), so that
# only the loss of batching fails here.
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

for mode in native roce; do
    run $mode randread
    holds "copies per octet that the target sent" "$(count link.tx_copied_bytes) == 0"
    holds "copies per octet that the host received" "$(value rx_placed_per_byte) >= 1 && $(value rx_placed_per_byte) < 1.02"
    run $mode randwrite
    holds "copies per octet that the host sent" "$(value tx_copies_per_byte) == 0"
    copied="($(count dpa.placed_bytes) + $(count target.incapsule_copied_bytes)) / $bytes"
    holds "copies per octet that the target received" "$copied >= 1 && $copied < 1.03"
done

# While one side is off the processor the other looks in vain: such a run says nothing of the program, and is repeated.
# Both sides spin at this depth: left alone, each runs all the time.
for rw in randread randwrite; do
    best_host=9 best_target=9 counted=0
    for _ in 1 2 3 4 5 6; do
        TIMEFORMAT='%R %U %S'
        { time run native $rw; } 2> "$SCRATCH/time"
        awk '{ exit !(($2 + $3) / $1 >= 1.7) }' "$SCRATCH/time" || continue
        counted=$((counted + 1))
        calls="$(count link.tx_syscalls) + $(count link.rx_syscalls) + $(count target.sleeps)"
        best_host=$(awk "BEGIN { n = $(value syscalls_per_io); print n < $best_host ? n : $best_host }")
        best_target=$(awk "BEGIN { n = ($calls) / $(count target.io_commands); print n < $best_target ? n : $best_target }")
        awk "BEGIN { exit !($best_host <= 0.25 && $best_target <= 0.25) }" && break
    done
    if [ $counted = 0 ]; then
        echo "$rw x32: system calls per I/O not judged: others had the processors in every run"
        continue
    fi
    echo "$rw x32: system calls per I/O: host $best_host, target $best_target"
    holds "system calls per I/O at the host" "$best_host <= 0.4"
    holds "system calls per I/O at the target" "$best_target <= 0.25"
done
