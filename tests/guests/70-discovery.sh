#!/usr/bin/env bash
# timeout: 240
# A stock Linux host and the discovery service: a listener for discovery alone, a referral that connect-all follows, a
# connection that stays and hears of what changes, and hosts that see only what they may use.
[ -n "${FLEXBLK_E2E_UNSHARED:-}" ] || FLEXBLK_E2E_UNSHARED=1 exec unshare --map-root-user --net bash "$0"
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

# The log leads to an address that means the same to the guest and here: one of this network namespace.
ip link set lo up
target=192.0.2.1
ip addr add $target/32 dev lo
port=44270
control=$SCRATCH/control.sock
cat > "$SCRATCH/one.toml" <<TOML
[[listener]]
trtype = "tcp"
traddr = "$target"
trsvcid = $port
[[listener]]
trtype = "tcp"
traddr = "$target"
discovery = true
[[referral]]
trtype = "tcp"
traddr = "$target"
trsvcid = 44271
[[subsystem]]
nqn = "$nqn"
[[subsystem.namespace]]
uri = "mem:16MiB"
[[subsystem]]
nqn = "$nqn:private"
allowed_hosts = ["$host_nqn"]
[[subsystem.namespace]]
uri = "mem:8MiB"
TOML
"$FLEXBLK" serve -t tcp -a $target -s 44271 -n $nqn:referred mem:4MiB > "$SCRATCH/referred.log" 2>&1 &
helper_pids=($!)
serve --config "$SCRATCH/one.toml" --control "$control"

# Does what the guest asks for on its console.
(
    on() {
        until grep -q "^LIVE-$1" "$SCRATCH/discovery.log" 2> /dev/null; do sleep 0.2; done
        shift
        "$FLEXBLK" "$@" --control "$control" >> "$SCRATCH/serve.log" 2>&1
    }
    on ADD subsystem add $nqn:late
    on HIDDEN subsystem add $nqn:hidden --host nqn.2026-11.io.flexblk:somebody
    on UNREFER referral remove -t tcp -a $target -s 44271
) &
helper_pids+=($!)

guest discovery 200 <<'EOG'
target=192.0.2.1
ip route add default via 10.0.2.2
# discover MORE…: what the service for discovery alone tells.
discover() { nvme discover -t tcp -a $target -s 8009 --hostid "$host_id" "$@"; }
# has NQN: a controller of it is there.
has() { grep -lxs "$1" /sys/class/nvme/*/subsysnqn; }
count() { grep -c "$1" "$2" || true; }

step "the log"
discover --hostnqn "$host_nqn" > /tmp/log
cat /tmp/log
[ "$(count '^subtype: *nvme subsystem' /tmp/log)" = 2 ] || fail "two subsystems at one listener"
[ "$(count '^subtype: *current discovery subsystem' /tmp/log)" = 2 ] || fail "the service at both listeners"
[ "$(count '^subtype: *discovery subsystem referral' /tmp/log)" = 1 ] || fail "one referral"
[ "$(count '^trsvcid: *8009' /tmp/log)" = 1 ] || fail "nothing but discovery at 8009"

step "another host does not see what is not for it"
nvme discover -t tcp -a $target -s 8009 --hostnqn nqn.2026-11.io.flexblk:somebody \
    --hostid 4a1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d0f > /tmp/other
[ "$(count '^subtype: *nvme subsystem' /tmp/other)" = 1 ] || fail "$(cat /tmp/other)"
! grep -q private /tmp/other

step "no subsystem is reached by the listener for discovery"
! nvme connect -t tcp -a $target -s 8009 -n $nqn --hostnqn "$host_nqn" --hostid "$host_id" 2> /dev/null

step "connect-all, also by way of the referral"
nvme connect-all -t tcp -a $target -s 8009 --hostnqn "$host_nqn" --hostid "$host_id"
for name in $nqn $nqn:private $nqn:referred; do
    await 20 has $name || fail "$name is not connected"
done
nvme disconnect-all

step "a connection that stays"
discover --hostnqn "$host_nqn" --persistent --keep-alive-tmo=4 > /tmp/log
held=$(ls /sys/class/nvme)
[ "$(cat /sys/class/nvme/$held/subsysnqn)" = nqn.2014-08.org.nvmexpress.discovery ] || fail "no persistent controller"
[ "$(cat /sys/class/nvme/$held/cntrltype)" = discovery ] || fail "not of discovery"
genctr() { nvme get-log /dev/$held -i 0x70 -l 16 -b | od -An -t u8 -N 8 | tr -d ' '; }
events() { count '^NVME_AEN=0x70f002' /tmp/uevents; }
told() { [ "$(events)" = "$1" ]; }
uevent env > /tmp/uevents &
listener=$!
before=$(genctr)
# Longer than the keep-alive timeout.
sleep 7
[ "$(cat /sys/class/nvme/$held/state)" = live ] || fail "not kept alive"
echo LIVE-ADD
await 20 told 1
after=$(genctr)
[ "$after" -gt "$before" ] || fail "generation $before, then $after"
discover --hostnqn "$host_nqn" --device=$held > /tmp/log
grep -q "$nqn:late" /tmp/log || fail "$(cat /tmp/log)"

step "what it may not see is none of its business"
echo LIVE-HIDDEN
sleep 2
[ "$(events)" = 1 ] || fail "told of a subsystem of another host"
echo LIVE-UNREFER
await 20 told 2
discover --hostnqn "$host_nqn" --device=$held > /tmp/log
! grep -q 'hidden\|referral' /tmp/log || fail "$(cat /tmp/log)"
kill $listener
nvme disconnect -d $held
step "errors that the kernel saw"
! dmesg | grep -i 'nvme.*\(error\|timeout\)' || fail "see above"
EOG
kill "${helper_pids[0]}"
helper_pids=()
stop_server
