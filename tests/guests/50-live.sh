#!/usr/bin/env bash
# timeout: 180
# A stock Linux host while the target's configuration changes: two namespaces of one URI are two disks to it, and it hears
# at once of namespaces that come, change their size, become read-only and go.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44250
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
is() { [ "$(cat "$1")" = "$2" ]; }
gone() { [ ! -e "$1" ]; }
connect tcp -i 1
step "two namespaces of one URI"
await 20 test -b /dev/nvme0n1
await 20 test -b /dev/nvme0n2
step "one comes"
echo LIVE-ADD
await 20 test -b /dev/nvme0n3
dd if=/dev/urandom of=/tmp/pattern bs=64k count=16 2> /dev/null
dd if=/tmp/pattern of=/dev/nvme0n3 bs=64k oflag=direct 2> /dev/null
step "one becomes smaller"
echo LIVE-RESIZE
await 20 is /sys/block/nvme0n2/size 65536
step "one becomes read-only"
echo LIVE-PROTECT
await 20 is /sys/block/nvme0n3/ro 1
dd if=/dev/nvme0n3 of=/tmp/back bs=64k count=16 iflag=direct 2> /dev/null
cmp /tmp/pattern /tmp/back
step "one goes"
echo LIVE-REMOVE
await 20 gone /dev/nvme0n1
test -b /dev/nvme0n2
step "errors that the kernel saw"
! dmesg | grep -i 'nvme.*\(error\|fail\|timeout\|duplicate\|identifiers changed\)' || fail "see above"
nvme disconnect -n $nqn
EOG
helper_pids=()
stop_server
