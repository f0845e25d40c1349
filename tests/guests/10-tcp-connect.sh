#!/usr/bin/env bash
# timeout: 180
# A stock Linux host over NVMe/TCP: discovers, connects with 1 and 4 queues and every digest setting, and what it wrote
# comes back, the last time from the image file.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44210
truncate -s 64M "$SCRATCH/image"
serve -t tcp -a 127.0.0.1 -s $port -n $nqn "file:$SCRATCH/image"

guest connect 150 <<'EOF'
step discover
nvme discover -t tcp -a $host_addr -s $port --hostnqn $host_nqn --hostid $host_id > /tmp/discovered
grep -q "subnqn: *$nqn" /tmp/discovered || fail "not discovered: $(cat /tmp/discovered)"
for digests in '' -g -G '-g -G'; do
    for queues in 1 4; do
        step "connect with $queues queues and digests '$digests'"
        connect tcp -i $queues $digests
        await 10 test -b /dev/nvme0n1
        dd if=/dev/urandom of=/tmp/pattern bs=64k count=32 2> /dev/null
        dd if=/tmp/pattern of=/dev/nvme0n1 bs=64k oflag=direct 2> /dev/null
        dd if=/dev/nvme0n1 of=/tmp/back bs=4k count=512 iflag=direct 2> /dev/null
        cmp /tmp/pattern /tmp/back
        nvme disconnect -n $nqn
    done
done
step "errors that the kernel saw"
! dmesg | grep -i 'nvme.*\(error\|fail\|timeout\|digest\)' || fail "see above"
echo "SUM $(sha256sum < /tmp/pattern)"
EOF
stop_server
told=$(sed -n 's/^SUM \([0-9a-f]*\).*/\1/p' "$SCRATCH/connect.log")
[ "$(head -c 2M "$SCRATCH/image" | sha256sum | cut -d' ' -f1)" = "$told" ] || fail "the image is not what the guest wrote"
