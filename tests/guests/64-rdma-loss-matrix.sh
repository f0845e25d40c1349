#!/usr/bin/env bash
# timeout: 240
# The loss matrix against a stock Linux host (rdma_rxe, nvme-rdma): a target for each fault, on an address of its own, hits one
# chosen packet (--inject, docs/loss.md); the host connects to each in turn, and what it wrote comes back in bounded time.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

# The targets' packets that carry a host's reads, then the host's that carry its writes, then both sides' answers, then CM's.
# Numbers are beyond the packets that bring the connection up. Two rules of a case are separated by a comma.
cases=(
    drop:write-first:2 drop:write-middle:3 drop:write-last:2 drop:write-only:20 drop:send-only:45:tx
    corrupt:write-middle:3:tx corrupt:send-only:45:tx duplicate:write-last:2 duplicate:send-only:45:tx
    reorder:write-last:2 delay=20ms:write-middle:3:rx,delay=20ms:write-last:2
    drop:write-middle:3,drop:nak:1:rx
    drop:read-request:2 duplicate:read-request:2 drop:read-response-first:2 drop:read-response-middle:3
    drop:read-response-last:2 delay=50ms:read-response-last:2 duplicate:read-response-middle:3 reorder:read-response-middle:3
    drop:send-only:45:rx duplicate:send-only:45:rx drop:send-first:2 drop:send-last:2
    drop:send-first:2,drop:nak:1:tx
    drop:ack:45:rx drop:ack:45:tx duplicate:ack:45 delay=20ms:ack:45:rx
    drop:cm-req:1 drop:cm-rep:1 drop:cm-rtu:1 drop:cm-dreq:1 drop:cm-drep:1 duplicate:cm:1+1
)
at() { echo "10.90.0.$((100 + $1))"; }
for index in "${!cases[@]}"; do
    rules=()
    for rule in ${cases[index]//,/ }; do rules+=(--inject "$rule"); done
    ip addr add "$(at "$index")/24" dev guests0
    FLEXBLK_LOG=info "$FLEXBLK" serve -t rdma -a "$(at "$index")" -s $port -n "$nqn$index" --control "$SCRATCH/$index.sock" \
        "${rules[@]}" mem:4MiB > "$SCRATCH/target$index.log" 2>&1 &
    helper_pids+=($!)
done
for index in "${!cases[@]}"; do
    for _ in $(seq 200); do
        ! grep -q '^listening' "$SCRATCH/target$index.log" || continue 2
        sleep 0.05
    done
    fail "target $index: $(cat "$SCRATCH/target$index.log")"
done

{
    echo "cases='${cases[*]}'"
    cat <<'EOS'
rdma_up
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
dd if=/dev/urandom of=/tmp/pattern bs=64k count=8 2> /dev/null
index=0
base=$nqn
for rules in $cases; do
    host_addr=10.90.0.$((100 + index)) nqn=$base$index
    # Who answers to the address is found out first: rdma_cm asks again only after 3 s.
    ping -c 1 $host_addr > /dev/null
    started=$(now)
    connect rdma -i 1
    await 30 disk 1
    device=$(disk 1)
    await 10 test -b $device
    connected=$(now)
    # In commands of 64 KiB (data by RDMA READ), then in ones of 4 KiB (data in the capsule).
    dd if=/tmp/pattern of=$device bs=64k oflag=direct 2> /dev/null
    dd if=/tmp/pattern of=$device bs=4k count=12 oflag=direct 2> /dev/null
    dd if=$device of=/tmp/back bs=64k count=8 iflag=direct 2> /dev/null
    cmp /tmp/pattern /tmp/back
    dd if=$device of=/tmp/back bs=4k count=24 iflag=direct 2> /dev/null
    cmp -n 98304 /tmp/pattern /tmp/back
    done=$(now)
    nvme disconnect -n $nqn > /dev/null
    ended=$(now)
    echo "CASE $rules $(((connected - started) * 10)) $(((done - connected) * 10)) $(((ended - done) * 10))"
    index=$((index + 1))
done
rdma statistic show link rxe0/1
! dmesg | grep 'I/O error' || fail "the kernel gave I/O up"
EOS
} > "$SCRATCH/script"
guest matrix 200 < "$SCRATCH/script"

# Each fault hit; nobody counted another.
for pid in "${helper_pids[@]}"; do kill -TERM "$pid"; done
for pid in "${helper_pids[@]}"; do wait "$pid" || fail "a target did not end well"; done
helper_pids=()
printf '%-52s %10s %8s %14s\n' 'fault' 'connect ms' 'I/O ms' 'disconnect ms'
for index in "${!cases[@]}"; do
    read -r connect io end < <(tr -d '\r' < "$SCRATCH/matrix.log" | grep -aF "CASE ${cases[index]} " | cut -d' ' -f3-5)
    printf '%-52s %10s %8s %14s\n' "${cases[index]}" "$connect" "$io" "$end"
    hits=$(sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/target$index.log" | sed -n 's/.*inject\.[a-z]*.* count=\([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n + 0 }')
    [ "${hits:-0}" -gt 0 ] || fail "${cases[index]}: hit nothing: $(grep inject "$SCRATCH/target$index.log")"
    # rxe's timers: 0.54 s for data, 4.3 s for CM.
    [ "$io" -lt 5000 ] || fail "${cases[index]}: I/O took $io ms"
    [ "$connect" -lt 20000 ] || fail "${cases[index]}: connecting took $connect ms"
done
