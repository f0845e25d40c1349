#!/usr/bin/env bash
# timeout: 120
# Rate limits of namespaces and of hosts: from a starting configuration, changed by apply and by the noun's own verb
# while loads run that see no error, shown, and back after a restart.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:limits
one=nqn.2026-11.io.flexblk:host-one
two=nqn.2026-11.io.flexblk:host-two
addr=127.0.56.1
control=$SCRATCH/control.sock
state=$SCRATCH/state.toml

live() { timeout 20 "$FLEXBLK" "$@" --control "$control"; }
# has PATTERN: somewhere in the input, all of which is read.
has() { grep -- "$1" > /dev/null; }
# config NAMESPACE_LIMIT HOST_LIMIT: the configuration, with commands per second of namespace 1 and of host one.
config() {
    cat << TOML
[[listener]]
trtype = "tcp"
traddr = "$addr"
[[listener]]
trtype = "rdma"
traddr = "$addr"
[[subsystem]]
nqn = "$nqn"
allowed_hosts = ["$two"]
[[subsystem.host]]
nqn = "$one"
limit = { rw_ios_per_sec = $2 }
[[subsystem.namespace]]
nsid = 1
uri = "mem:16MiB"
limit = { rw_ios_per_sec = $1 }
[[subsystem.namespace]]
nsid = 2
uri = "mem:16MiB"
[[subsystem.namespace]]
nsid = 3
uri = "mem:16MiB"
TOML
}
# load HOST NSID SECONDS [trtype]: reads and writes that are verified; leaves a report in $SCRATCH/HOST.NSID.json.
load() {
    "$FLEXBLK" bench "trtype=${4:-tcp} traddr=$addr subnqn=$nqn hostnqn=$1 ns=$2" --rw randrw --verify --iodepth 8 \
        --time "$3" -o json > "$SCRATCH/${1##*-}.$2.json" 2> "$SCRATCH/${1##*-}.$2.log"
}
# ios NAME: commands of that report, which has no error.
ios() {
    grep -q '"errors": 0' "$SCRATCH/$1.json" || fail "$1: $(cat "$SCRATCH/$1.json" "$SCRATCH/$1.log")"
    sed -n 's/^ *"ios": \([0-9]*\).*/\1/p' "$SCRATCH/$1.json" | head -1
}
# The most that a limit lets through, with what was saved up, and what a bench does to look at the namespace.
most() { echo $(($1 * $2 + $1 / 10 + 64)); }

config 400 4000 > "$SCRATCH/slow.toml"
config 4000 4000 > "$SCRATCH/fast.toml"
config 4000 400 > "$SCRATCH/slow-host.toml"
config 0 0 > "$SCRATCH/none.toml"
serve --config "$SCRATCH/slow.toml" --control "$control" --state "$state"

# A namespace's limit: from the start, then made ten times of it under load, then a tenth.
load $two 1 2
[ "$(ios two.1)" -le "$(most 400 2)" ] || fail "$(ios two.1) commands in 2 s at 400 a second"
load $two 1 6 &
helper_pids=($!)
sleep 2
live apply "$SCRATCH/fast.toml" | has '^~ namespace 1 .*4000 commands/s' || fail "the plan of a namespace's limit"
wait "${helper_pids[0]}" || fail "the load: $(cat "$SCRATCH/two.1.log")"
[ "$(ios two.1)" -gt "$(most 400 6)" ] || fail "$(ios two.1) commands in 6 s: the limit did not go up"
[ "$(ios two.1)" -le "$(most 4000 6)" ] || fail "$(ios two.1) commands in 6 s at 4000 a second"
load $two 1 6 &
helper_pids=($!)
sleep 1
live namespace set-limit 1 --rw-ios-per-sec 400 > /dev/null
wait "${helper_pids[0]}" || fail "the load: $(cat "$SCRATCH/two.1.log")"
[ "$(ios two.1)" -le "$(most 4000 4)" ] || fail "$(ios two.1) commands in 6 s: the limit did not go down"

# A host's: over both namespaces and both transports, while another host is let alone.
live apply "$SCRATCH/slow-host.toml" > "$SCRATCH/plan"
grep -q "^~ host $one of .*400 commands/s" "$SCRATCH/plan" || fail "the plan of a host's: $(cat "$SCRATCH/plan")"
live host list | grep "$one" | has 'rw_ios_per_sec=400' || fail "host list: $(live host list)"
load $one 1 4 tcp &
helper_pids=($!)
load $one 2 4 rdma &
helper_pids+=($!)
load $two 3 4 &
helper_pids+=($!)
for load in "${helper_pids[@]}"; do wait "$load" || fail "a load: $(cat "$SCRATCH"/*.log)"; done
both=$(($(ios one.1) + $(ios one.2)))
[ "$both" -le "$(most 400 5)" ] || fail "$both commands in 4 s at 400 a second, over two namespaces"
[ "$(ios two.3)" -gt "$both" ] || fail "the other host, without a limit: $(ios two.3) commands"
# Both limits hold: here the namespace's is the lower.
live host set-limit $one --rw-ios-per-sec 4000 > /dev/null
live namespace set-limit 1 --rw-ios-per-sec 400 > /dev/null
load $one 1 2
[ "$(ios one.1)" -le "$(most 400 2)" ] || fail "$(ios one.1) commands in 2 s, limited by the namespace"

# A restart brings them back; taken away, they are gone.
live host set-limit $one --rw-ios-per-sec 300 > /dev/null
shown=$(live config show)
stop_server KILL
serve --control "$control" --state "$state"
[ "$(live config show)" = "$shown" ] || fail "after a restart: $(live config show)"
load $one 2 2
[ "$(ios one.2)" -le "$(most 300 2)" ] || fail "$(ios one.2) commands in 2 s at 300 a second, after a restart"
load $one 2 4 &
helper_pids=($!)
sleep 1
live apply "$SCRATCH/none.toml" > /dev/null
wait "${helper_pids[0]}" || fail "the load: $(cat "$SCRATCH/one.2.log")"
[ "$(ios one.2)" -gt "$(most 300 4)" ] || fail "$(ios one.2) commands in 4 s: the limit did not go"
live config show | has rw_ios && fail "a limit is left: $(live config show)"
# A host that may not come has no limit, and gets no leave by one.
if live host set-limit nqn.2026-11.io.flexblk:host-three --rw-ios-per-sec 9 > /dev/null 2>&1; then
    fail "a host was limited that may not connect"
fi
helper_pids=()
stop_server
