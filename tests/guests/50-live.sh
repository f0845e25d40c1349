#!/usr/bin/env bash
# timeout: 180
# A stock Linux host while the target's configuration changes: two namespaces of one URI are two disks to it, and it hears
# at once of namespaces that come, change their size, become read-only and go.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44255
control=$SCRATCH/control.sock
serve -t tcp -a 127.0.0.1 -s $port -n $nqn --control "$control" mem:64MiB mem:64MiB

# Does what the guest asks for on its console.
(
    on() {
        until grep -q "^LIVE-$1" "$SCRATCH/live.log" 2> /dev/null; do sleep 0.2; done
        shift
        "$FLEXBLK" "$@" --control "$control" >> "$SCRATCH/serve.log" 2>&1
    }
    on ADD namespace add mem:16MiB
    on RESIZE namespace resize 2 32MiB
    on PROTECT namespace set 3 --read-only true
    on REMOVE namespace remove 1
) &
helper_pids=($!)

guest live 150 <<'EOG'
# is NSID ATTRIBUTE VALUE: as the kernel has it.
is() { [ "$(cat "/sys/block/$(basename "$(disk "$1")")/$2")" = "$3" ]; }
gone() { ! disk "$1"; }
connect tcp -i 1
step "two namespaces of one URI"
await 20 disk 1
await 20 disk 2
step "one comes"
echo LIVE-ADD
await 20 disk 3
await 20 test -b "$(disk 3)"
dd if=/dev/urandom of=/tmp/pattern bs=64k count=16 2> /dev/null
dd if=/tmp/pattern of="$(disk 3)" bs=64k oflag=direct 2> /dev/null
step "one becomes smaller"
echo LIVE-RESIZE
await 20 is 2 size 65536
step "one becomes read-only"
echo LIVE-PROTECT
await 20 is 3 ro 1
dd if="$(disk 3)" of=/tmp/back bs=64k count=16 iflag=direct 2> /dev/null
cmp /tmp/pattern /tmp/back
step "one goes"
echo LIVE-REMOVE
await 20 gone 1
disk 2
step "errors that the kernel saw"
! dmesg | grep -i 'nvme.*\(error\|fail\|timeout\|duplicate\|identifiers changed\)' || fail "see above"
nvme disconnect -n $nqn
EOG
helper_pids=()
stop_server
