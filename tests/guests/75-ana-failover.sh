#!/usr/bin/env bash
# timeout: 300
# A stock Linux host with two paths to one disk, under load that verifies: paths become inaccessible and come back, a path's
# connections break and its listener goes and comes back. No command fails, nothing is lost.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44275
other_port=44276
control=$SCRATCH/control.sock
cat > "$SCRATCH/two.toml" <<TOML
[[listener]]
portid = 1
trtype = "tcp"
traddr = "127.0.0.1"
trsvcid = $port
[[listener]]
portid = 2
trtype = "tcp"
traddr = "127.0.0.1"
trsvcid = $other_port
[[subsystem]]
nqn = "$nqn"
[[subsystem.namespace]]
uri = "mem:64MiB"
[[subsystem.ana_group]]
grpid = 1
portid = 2
state = "non-optimized"
TOML
serve --config "$SCRATCH/two.toml" --control "$control"

# Does what the guest asks for on its console.
(
    live() { "$FLEXBLK" "$@" --control "$control" >> "$SCRATCH/serve.log" 2>&1; }
    on() {
        until grep -q "^LIVE-$1" "$SCRATCH/failover.log" 2> /dev/null; do sleep 0.2; done
        shift
        live "$@"
    }
    on AWAY ana set 1 inaccessible --portid 1
    on BACK ana set 1 optimized --portid 1
    on SECOND-AWAY ana set 1 inaccessible --portid 2
    on SECOND-BACK ana set 1 non-optimized --portid 2
    # A listener that a group has a state of is not taken away.
    on CLOSED ana set 1 optimized
    live listener remove 2
    on OPEN listener add -t tcp -a 127.0.0.1 -s $other_port --portid 3
) &
helper_pids=($!)

guest failover 260 < <(
    echo "other_port=$other_port"
    cat <<'EOG'
# state PORT: ANA state of the path through it.
state() {
    for path in /sys/class/nvme/nvme*/nvme*c*n*; do
        grep -q "trsvcid=$1" "$path/../address" && cat "$path/ana_state"
    done
}
is() { [ "$(state $1)" = "$2" ]; }
# Sectors that went by the path through a port.
moved() {
    for path in /sys/class/nvme/nvme*/nvme*c*n*; do
        grep -q "trsvcid=$1" "$path/../address" && awk '{ print $3 + $7 }' "$path/stat"
    done
}
# flows PORT: something goes by that path.
flows() {
    was=$(moved $1)
    sleep 1
    [ "$(moved $1)" -gt "$was" ]
}
connect tcp -i 1 --reconnect-delay=1 --ctrl-loss-tmo=60 --keep-alive-tmo=5
nvme connect -t tcp -a "$host_addr" -s "$other_port" -n "$nqn" --hostnqn "$host_nqn" --hostid "$host_id" -i 1 \
    --reconnect-delay=1 --ctrl-loss-tmo=60 --keep-alive-tmo=5
await 20 disk 1
device=$(disk 1)
await 20 test -b "$device"
await 20 is $port optimized
await 20 is $other_port non-optimized
fio --name=v --filename=$device --direct=1 --ioengine=libaio --rw=randwrite --bsrange=4k-64k --iodepth=8 --size=32M \
    --io_size=4G --runtime=150 --verify=crc32c --verify_fatal=1 --verify_backlog=128 --minimal > /tmp/fio.log 2>&1 &
load=$!
await 20 flows $port
! flows $other_port || fail "the path that is not optimized is used"
step "the optimized path becomes inaccessible"
echo LIVE-AWAY
await 20 is $port inaccessible
await 20 flows $other_port
! flows $port || fail "an inaccessible path is used"
step "and comes back"
echo LIVE-BACK
await 20 is $port optimized
await 20 flows $port
step "the other one goes and comes back"
echo LIVE-SECOND-AWAY
await 20 is $other_port inaccessible
await 3 flows $port
echo LIVE-SECOND-BACK
await 20 is $other_port non-optimized
step "a path's controller is lost under load"
first=$(dirname "$(grep -l "trsvcid=$port" /sys/class/nvme/nvme*/address)")
echo 1 > "$first/reset_controller"
await 20 grep -q live "$first/state"
await 20 flows $port
step "the connections of a path end, nobody listens there, then again somebody"
echo LIVE-CLOSED
await 20 is $other_port optimized
sleep 1
second=$(dirname "$(grep -l "trsvcid=$other_port" /sys/class/nvme/nvme*/address)")
echo 1 > "$second/reset_controller" || true
await 20 grep -q connecting "$second/state"
await 3 flows $port
echo LIVE-OPEN
await 30 grep -q live "$second/state"
await 20 is $other_port optimized
kill -0 $load || fail "fio ended: $(cat /tmp/fio.log)"
kill -INT $load
# fio's own status for a signal; its report then says whether any command failed.
wait $load || [ $? = 128 ] || fail "fio: $(cat /tmp/fio.log)"
grep -q '^3;fio-[^;]*;v;0;0;' /tmp/fio.log || fail "fio: $(cat /tmp/fio.log)"
step "errors that the kernel saw"
! dmesg | grep 'I/O error' || fail "the kernel gave I/O up"
nvme disconnect -n $nqn
EOG
)
helper_pids=()
stop_server
