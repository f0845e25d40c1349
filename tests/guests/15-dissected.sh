#!/usr/bin/env bash
# timeout: 180
# Sessions with Linux, each way, as an independent reader sees them: Linux' host with our target, our host with Linux'
# target, with and without digests. tshark finds no malformed PDU, no termination request, no wrong digest.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

if ! tshark -D 2> /dev/null | grep -qw lo; then
    echo "no dissection: packets of the loopback device cannot be captured here"
    exit 0
fi
port=44215
theirs=44216
guest_forward=hostfwd=tcp:127.0.0.1:$theirs-:4420
serve -t tcp -a 127.0.0.1 -s $port -n $nqn mem:64MiB
tshark -q -i lo -f "tcp port $port or tcp port $theirs" -w "$SCRATCH/wire.pcapng" > "$SCRATCH/tshark.log" 2>&1 &
capture=$!
helper_pids=($capture)

guest both 150 <<'EOF' &
for digests in '' '-g -G'; do
    step "connect with digests '$digests'"
    connect tcp -i 1 $digests
    await 10 test -b /dev/nvme0n1
    dd if=/dev/urandom of=/tmp/pattern bs=256k count=4 2> /dev/null
    dd if=/tmp/pattern of=/dev/nvme0n1 bs=256k oflag=direct 2> /dev/null
    dd if=/tmp/pattern of=/dev/nvme0n1 bs=4k count=16 oflag=direct 2> /dev/null
    dd if=/dev/nvme0n1 of=/tmp/back bs=64k count=16 iflag=direct 2> /dev/null
    cmp /tmp/pattern /tmp/back
    blkdiscard /dev/nvme0n1
    nvme disconnect -n $nqn
done
cd /sys/kernel/config/nvmet
mkdir subsystems/$nqn subsystems/$nqn/namespaces/1
echo 1 > subsystems/$nqn/attr_allow_any_host
echo /dev/ram0 > subsystems/$nqn/namespaces/1/device_path
echo 1 > subsystems/$nqn/namespaces/1/enable
mkdir ports/1
echo tcp > ports/1/addr_trtype
echo ipv4 > ports/1/addr_adrfam
echo 10.0.2.15 > ports/1/addr_traddr
echo 4420 > ports/1/addr_trsvcid
ln -s /sys/kernel/config/nvmet/subsystems/$nqn ports/1/subsystems/
echo TARGET-READY
# Our host writes this word when it is done.
is_done() { [ "$(dd if=/dev/ram0 bs=4k count=1 iflag=direct 2> /dev/null | head -c 4)" = DONE ]; }
await 90 is_done
EOF
guest=$!
helper_pids=($guest $capture)
until grep -aq TARGET-READY "$SCRATCH/both.log" 2> /dev/null; do
    kill -0 $guest 2> /dev/null || fail "the guest ended: $(tail -20 "$SCRATCH/both.log")"
    sleep 0.3
done
head -c 1M /dev/urandom > "$SCRATCH/image"
for digests in '' 'hdgst=on ddgst=on'; do
    spec="trtype=tcp traddr=127.0.0.1 trsvcid=$theirs subnqn=$nqn $digests"
    timeout 30 "$FLEXBLK" write "$spec" < "$SCRATCH/image"
    timeout 30 "$FLEXBLK" read "$spec" --count 1MiB | cmp - "$SCRATCH/image" || fail "'$digests': not what was written"
done
{ printf DONE && head -c 4092 /dev/zero; } | timeout 30 "$FLEXBLK" write "$spec"
wait $guest || fail "the guest"
sleep 1
kill -INT $capture
wait $capture || true
helper_pids=()
stop_server

# dissect PORT FILTER: of the session at that port.
dissect() {
    tshark -r "$SCRATCH/wire.pcapng" -d "tcp.port==$1,nvme-tcp" -Y "tcp.port == $1 && ($2)" "${@:3}" 2>> "$SCRATCH/tshark.log"
}
for at in $port $theirs; do
    pdus=$(dissect $at nvme-tcp -T fields -e nvme-tcp.type | tr ',' '\n' | wc -l)
    [ "$pdus" -gt 60 ] || fail "tshark read $pdus PDUs at port $at: $(cat "$SCRATCH/tshark.log")"
    for type in 0 1 4 5 6 7 9; do
        [ "$(dissect $at "nvme-tcp.type == $type" | wc -l)" -gt 0 ] || fail "port $at: tshark saw no PDU of type $type"
    done
    malformed=$(dissect $at '_ws.malformed || nvme-tcp.type == 2 || nvme-tcp.type == 3')
    [ -z "$malformed" ] || fail "port $at, malformed: $malformed"
    bad=$(dissect $at 'nvme-tcp.hdgst.status == 0 || nvme-tcp.ddgst.status == 0')
    [ -z "$bad" ] || fail "port $at, wrong digests: $bad"
    echo "port $at: $pdus PDUs, none malformed"
done
