#!/usr/bin/env bash
# timeout: 300
# RoCEv2 over IPv6: a stock Linux host (rdma_rxe, nvme-rdma) connects to our target and what it wrote comes back; rping
# pings our server; then our host reads and writes at Linux' target.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

host6=fd00:90::1
guest6=fd00:90::11
# No duplicates are looked for: the addresses are there at once.
ip -6 addr add $host6/64 dev guests0 nodad
ip -6 addr add fd00:90::2/64 dev guests0 nodad

serve -t rdma,tcp -a $host6 -s $port -n $nqn mem:64MiB
"$FLEXBLK" rdma-ping -s -a fd00:90::2 > "$SCRATCH/served-ping" 2>&1 &
helper_pids+=($!)
capture

guest ipv6 240 <<'GUEST' &
host_addr=fd00:90::1
/usr/bin/ip -6 addr add fd00:90::11/64 dev eth0 nodad
rdma_up
step discover
nvme discover -t rdma -a $host_addr -s $port --hostnqn $host_nqn --hostid $host_id > /tmp/discovered
grep -q "subnqn: *$nqn" /tmp/discovered || fail "not discovered: $(cat /tmp/discovered)"
grep -q 'adrfam: *ipv6' /tmp/discovered || fail "no IPv6 listener: $(cat /tmp/discovered)"
for transport in rdma tcp; do
    step "connect by $transport"
    connect $transport -i 2
    await 10 test -b /dev/nvme0n1
    written_and_read /dev/nvme0n1
    nvme disconnect -n $nqn
done
step rping
rping -c -a fd00:90::2 -C 10 -S 9000 -V > /tmp/pinged 2>&1 || fail "rping: $(cat /tmp/pinged)"
step "what rxe counted"
no_unexpected
step "Linux' target"
cd /sys/kernel/config/nvmet
mkdir subsystems/$nqn subsystems/$nqn/namespaces/1
echo 1 > subsystems/$nqn/attr_allow_any_host
truncate -s 64M /tmp/image
echo /tmp/image > subsystems/$nqn/namespaces/1/device_path
echo 1 > subsystems/$nqn/namespaces/1/enable
mkdir ports/1
echo rdma > ports/1/addr_trtype
echo ipv6 > ports/1/addr_adrfam
echo fd00:90::11 > ports/1/addr_traddr
echo $port > ports/1/addr_trsvcid
ln -s /sys/kernel/config/nvmet/subsystems/$nqn ports/1/subsystems/
echo TARGET-READY
# Our host writes this word when it is done.
is_done() { [ "$(head -c 4 /tmp/image)" = DONE ]; }
await 100 is_done
no_kernel_errors
GUEST
guest=$!
helper_pids+=($guest)
until grep -aq TARGET-READY "$SCRATCH/ipv6.log" 2> /dev/null; do
    kill -0 $guest 2> /dev/null || fail "the guest ended: $(tail -20 "$SCRATCH/ipv6.log")"
    sleep 0.3
done
# Port 4791 of the address is the host's now.
stop_server
spec="trtype=rdma traddr=$guest6 trsvcid=$port subnqn=$nqn hostaddr=$host6 link=udp"
timeout 30 "$FLEXBLK" discover -t rdma -a $guest6 -s $port -w $host6 > "$SCRATCH/discovered"
grep -q "$nqn" "$SCRATCH/discovered" || fail "not discovered: $(cat "$SCRATCH/discovered")"
head -c 2M /dev/urandom > "$SCRATCH/image"
timeout 60 "$FLEXBLK" write "$spec" < "$SCRATCH/image"
timeout 60 "$FLEXBLK" read "$spec" --count 2MiB | cmp - "$SCRATCH/image" || fail "not what was written"
{ printf DONE && head -c 4092 /dev/zero; } | timeout 30 "$FLEXBLK" write "$spec"
wait $guest || fail "the guest"
dissected
helper_pids=()
