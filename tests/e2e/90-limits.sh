#!/usr/bin/env bash
# timeout: 90
# alone: it measures
# What an idle target and many connections cost: at most 1 % of a core, 48 MiB with one connection beyond the memory
# namespaces, and 512 KiB for each further connection of depth 32 with all of its buffers in use.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
namespace_mib=64
FLEXBLK_LOG=info serve -a 127.0.90.1 -n $nqn mem:${namespace_mib}MiB
port="traddr=127.0.90.1 subnqn=$nqn"
hertz=$(getconf CLK_TCK)

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$server_pid/stat"; }
# idle WHO: from a second after the last work on, 3 seconds cost at most 1 %.
idle() {
    local before used
    sleep 1
    before=$(cpu_ticks)
    sleep 3
    used=$(($(cpu_ticks) - before))
    echo "idle, $1: $used ticks of 1/$hertz s in 3 s"
    [ $((used * 100)) -le $((3 * hertz)) ] || fail "an idle target uses the CPU, $1: $used ticks in 3 s"
}
# await_connections NUMBER: of both kinds, admin and I/O.
await_connections() {
    local tries=0
    until [ "$(told connections)" = "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || fail "$(told connections) connections instead of $1"
        sleep 0.1
    done
}

idle 'no host'
head -c ${namespace_mib}M /dev/urandom | "$FLEXBLK" write "$port"
# A host whose standard input gives nothing: connected, and idle.
sleep 60 > >("$FLEXBLK" write "$port" 2> "$SCRATCH/idle.log") &
helper_pids+=($!)
await_connections 2
idle 'one host'
kill "${helper_pids[@]}"
await_connections 0

# Writes that travel in their capsules touch every buffer that a connection has.
load=(bench "$port" --rw randwrite --bs 4k --iodepth 32)
"$FLEXBLK" "${load[@]}" --jobs 1 --time 2 > "$SCRATCH/one.log" 2>&1 &
helper_pids=($!)
await_connections 2
sleep 1.5
one_kib=$(resident_kib)
wait "${helper_pids[@]}" || fail "one job: $(cat "$SCRATCH/one.log")"
await_connections 0
"$FLEXBLK" "${load[@]}" --jobs 64 --time 5 > "$SCRATCH/many.log" 2>&1 &
helper_pids=($!)
await_connections 128
sleep 3
[ "$(told connections)" = 128 ] || fail "$(told connections) connections instead of 128"
many_kib=$(resident_kib)
wait "${helper_pids[@]}" || fail "64 jobs: $(cat "$SCRATCH/many.log")"
helper_pids=()
grep -q ' 0 errors' "$SCRATCH/many.log" || fail "64 jobs: $(cat "$SCRATCH/many.log")"
beyond_kib=$((one_kib - namespace_mib * 1024)) each_kib=$(((many_kib - one_kib) / 63))
echo "one connection: $beyond_kib KiB beyond the namespace; $each_kib KiB for each of 63 more"
[ $beyond_kib -le $((48 * 1024)) ] || fail "$beyond_kib KiB beyond the namespace with one connection"
[ $each_kib -le 512 ] || fail "$each_kib KiB for each further connection"
stop_server
