#!/usr/bin/env bash
# timeout: 120
# A target's configuration changes while a load runs: namespaces come, change their size and go, files are applied or
# refused as a whole, and a restart, also after a kill, brings back what was last in force.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:live
addr=127.0.55.1
target="trtype=tcp traddr=$addr subnqn=$nqn"
control=$SCRATCH/control.sock
state=$SCRATCH/state.toml

# live ARGS…: a command about the running target.
live() { timeout 20 "$FLEXBLK" "$@" --control "$control"; }
# has PATTERN: somewhere in the input, all of which is read.
has() { grep -- "$1" > /dev/null; }
# size NSID: octets, as a host sees them.
size() {
    local fields
    fields=$(timeout 20 "$FLEXBLK" id-ns -t tcp -a $addr -n $nqn --namespace-id "$1" -o json) || return 1
    local blocks block
    blocks=$(sed -n 's/.*"nsze": \([0-9]*\).*/\1/p' <<< "$fields")
    block=$(sed -n 's/.*"block_bytes": \([0-9]*\).*/\1/p' <<< "$fields")
    echo $((blocks * block))
}
# identifiers NSID
identifiers() {
    timeout 20 "$FLEXBLK" id-ns -t tcp -a $addr -n $nqn --namespace-id "$1" -o json | grep -E '"(nguid|eui64)"'
}
# refused WORDS ARGS…: it ends with an error that has these words, and nothing changed.
refused() {
    local words=$1 before status=0
    shift
    before=$(live config show)
    live "$@" > "$SCRATCH/refused" 2>&1 || status=$?
    [ "$status" != 0 ] || fail "$* was not refused"
    grep -q -- "$words" "$SCRATCH/refused" || fail "$*: $(cat "$SCRATCH/refused")"
    [ "$(live config show)" = "$before" ] || fail "$* was refused and changed something"
    echo "$status"
}
start() { serve -t rdma,tcp -a $addr -n $nqn --control "$control" --state "$state" "$@"; }

truncate -s 64M "$SCRATCH/disk.img"
start mem:64MiB mem:64MiB
[ "$(stat -c %a "$control")" = 600 ] || fail "others may open the control socket"
[ "$(identifiers 1)" != "$(identifiers 2)" ] || fail "two namespaces have the same identifiers"
first=$(identifiers 1) second=$(identifiers 2)

# Another target may not have its socket.
status=0
"$FLEXBLK" serve -t tcp -a $addr -s 4500 --control "$control" mem:1MiB > "$SCRATCH/other" 2>&1 || status=$?
[ "$status" = 1 ] && grep -q -- '--control PATH' "$SCRATCH/other" || fail "a second target: $(cat "$SCRATCH/other")"

# Under load: it notices nothing.
"$FLEXBLK" bench "$target" --rw randrw --verify --time 6 --iodepth 16 -o json > "$SCRATCH/load.json" 2> "$SCRATCH/load.log" &
load=$!
helper_pids=($load)
sleep 0.5
live namespace add "file:$SCRATCH/disk.img" --nsid 7 | has '^+ namespace 7' || fail "no plan was shown"
[ "$(size 7)" = $((64 << 20)) ] || fail "the new namespace has $(size 7) octets"
live namespace resize 7 128MiB > /dev/null
[ "$(size 7)" = $((128 << 20)) ] || fail "the larger namespace has $(size 7) octets"
live namespace resize 2 32MiB > /dev/null
[ "$(size 2)" = $((32 << 20)) ] || fail "the smaller namespace has $(size 2) octets"
live namespace set 7 --read-only true > /dev/null
if timeout 20 "$FLEXBLK" write "$target ns=7" --count 4096 < /dev/zero 2> /dev/null; then
    fail "a read-only namespace was written to"
fi
live connection list -o json | has "\"subnqn\": \"$nqn\"" || fail "the load's connections are not listed"
live listener add -t tcp -a $addr -s 4430 > /dev/null
timeout 20 "$FLEXBLK" read "$target trsvcid=4430 ns=7" --count 1MiB | cmp -n 1048576 - /dev/zero ||
    fail "the new listener"
live listener remove 3 > /dev/null
if timeout 5 "$FLEXBLK" discover -t tcp -a $addr -s 4430 > /dev/null 2>&1; then
    fail "the listener is still there"
fi
live ana set 1 inaccessible --portid 1 > /dev/null
if timeout 20 "$FLEXBLK" read "trtype=rdma traddr=$addr subnqn=$nqn ns=7" --count 4096 > /dev/null 2>&1; then
    fail "an inaccessible group was read"
fi
timeout 20 "$FLEXBLK" read "$target ns=7" --count 4096 > /dev/null || fail "the other listener's state changed, too"
live ana set 1 optimized > /dev/null
live subsystem add "$nqn:b" --serial B1 > /dev/null
live namespace add mem:64MiB -n "$nqn:b" > /dev/null
timeout 20 "$FLEXBLK" discover -t tcp -a $addr | has "$nqn:b" || fail "the new subsystem is not told"
live subsystem remove "$nqn:b" > /dev/null

# Refused as a whole: the first namespace of the file could be had, the second cannot.
live config show > "$SCRATCH/good.toml"
{
    cat "$SCRATCH/good.toml"
    printf '[[subsystem]]\nnqn = "%s:c"\n' $nqn
    printf '[[subsystem.namespace]]\nuri = "%s"\n' mem:1MiB "file:$SCRATCH/none.img"
} > "$SCRATCH/bad.toml"
[ "$(refused none.img apply "$SCRATCH/bad.toml")" = 1 ] || fail "exit status of a disk that is not there"
sed 's/nsid = 2/nsidd = 2/' "$SCRATCH/good.toml" > "$SCRATCH/typo.toml"
[ "$(refused nsidd apply "$SCRATCH/typo.toml")" = 2 ] || fail "exit status of a typo"
[ "$(refused 'no namespace 9' namespace remove 9)" = 1 ] || fail "exit status of what is not there"
{
    cat "$SCRATCH/good.toml"
    printf '[[listener]]\ntrtype = "tcp"\ntraddr = "192.0.2.1"\n'
    printf '[[subsystem]]\nnqn = "%s:c"\n' $nqn
} > "$SCRATCH/elsewhere.toml"
refused 192.0.2.1 apply "$SCRATCH/elsewhere.toml" > /dev/null

# A plan that is only shown; then the same file in earnest, and again.
sed 's/^uri = "mem:64MiB"$/&\nread_only = true/' "$SCRATCH/good.toml" > "$SCRATCH/next.toml"
live apply --dry-run "$SCRATCH/next.toml" > "$SCRATCH/plan"
[ "$(grep -c '^~ .*read-only' "$SCRATCH/plan")" = 2 ] || fail "the plan: $(cat "$SCRATCH/plan")"
[ "$(live config show)" = "$(cat "$SCRATCH/good.toml")" ] || fail "a plan changed something"
wait $load || fail "the load: $(cat "$SCRATCH/load.log")"
helper_pids=()
grep -q '"errors": 0' "$SCRATCH/load.json" || fail "the load: $(cat "$SCRATCH/load.json")"
live apply "$SCRATCH/next.toml" > /dev/null
live apply "$SCRATCH/next.toml" | has 'nothing to change' || fail "applied twice, it changes twice"
if timeout 20 "$FLEXBLK" write "$target" --count 4096 < /dev/zero 2> /dev/null; then
    fail "the applied file is not in force"
fi

# A folder that cannot be written, as a full disk: refused, and the old state stays.
mkdir "$SCRATCH/state.toml.draft"
[ "$(refused 'cannot be kept' namespace add mem:1MiB)" = 1 ] || fail "exit status of a state that is not kept"
rmdir "$SCRATCH/state.toml.draft"

# Restarts: in good order and after a kill.
shown=$(live config show)
for signal in TERM KILL; do
    stop_server $signal
    start mem:1GiB
    [ "$(live config show)" = "$shown" ] || fail "after $signal: $(live config show)"
    [ "$(identifiers 1)$(identifiers 2)" = "$first$second" ] || fail "identifiers after $signal"
    [ "$(size 2)" = $((32 << 20)) ] && [ "$(size 7)" = $((128 << 20)) ] || fail "sizes after $signal"
done
live namespace remove 1 > /dev/null
stop_server KILL
start
[ "$(identifiers 2)" = "$second" ] || fail "identifiers changed with the namespace beside"
live namespace list | has '^nqn' || fail "no list"
if [ "$(live namespace list -o json | grep -c '"nsid"')" != 2 ]; then fail "two namespaces are left"; fi
stop_server
[ ! -e "$control" ] || fail "the control socket is left behind"

# Somebody else's configuration.
cat > "$SCRATCH/saved.json" << JSON
{"ports": [{"addr": {"adrfam": "ipv4", "traddr": "$addr", "trsvcid": "4420", "trtype": "tcp"}, "portid": 1,
            "param": {"pi_enable": "1"}, "subsystems": ["$nqn"]}],
 "subsystems": [{"nqn": "$nqn", "attr": {"allow_any_host": "1"}, "allowed_hosts": [],
                 "namespaces": [{"nsid": 5, "enable": 1, "device": {"path": "$SCRATCH/disk.img",
                                 "uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}}]}]}
JSON
"$FLEXBLK" config import nvmetcli "$SCRATCH/saved.json" > "$SCRATCH/imported.toml" 2> "$SCRATCH/left"
grep -q pi_enable "$SCRATCH/left" || fail "what was left out is not named"
serve --config "$SCRATCH/imported.toml" --control "$control"
[ "$(size 5)" = $((128 << 20)) ] || fail "the imported namespace"
live namespace list -o json | has f81d4fae-7dec-11d0-a765-00a0c91e6bf6 || fail "its uuid"
stop_server
