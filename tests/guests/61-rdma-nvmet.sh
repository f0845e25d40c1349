#!/usr/bin/env bash
# timeout: 300
# Our host on Linux' target over RoCEv2: discovers, reads and writes, and a load through fio's plug-in, all compared.
source "$FLEXBLK_ROOT/tests/guests/lib/rdma.bash"

capture
guest nvmet 200 <<'EOF' &
rdma_up
cd /sys/kernel/config/nvmet
mkdir subsystems/$nqn subsystems/$nqn/namespaces/1
echo 1 > subsystems/$nqn/attr_allow_any_host
truncate -s 128M /tmp/image
echo /tmp/image > subsystems/$nqn/namespaces/1/device_path
echo 1 > subsystems/$nqn/namespaces/1/enable
mkdir ports/1
echo rdma > ports/1/addr_trtype
echo ipv4 > ports/1/addr_adrfam
echo 10.90.0.11 > ports/1/addr_traddr
echo $port > ports/1/addr_trsvcid
ln -s /sys/kernel/config/nvmet/subsystems/$nqn ports/1/subsystems/
echo TARGET-READY
# Our host writes this word when it is done.
is_done() { [ "$(head -c 4 /tmp/image)" = DONE ]; }
await 150 is_done
# rxe's timer runs on while acknowledgements come, by design: under emulation it ends too early now and then. And where an
# emulated target answers later than our host waits before it asks (17 ms), the question is a duplicate to it.
no_unexpected 'completer_retry_err\|duplicate_request'
dmesg | grep -i 'nvmet\|rxe' | tail -20
EOF
guest=$!
helper_pids+=($guest)
until grep -aq TARGET-READY "$SCRATCH/nvmet.log" 2> /dev/null; do
    kill -0 $guest 2> /dev/null || fail "the guest ended: $(tail -20 "$SCRATCH/nvmet.log")"
    sleep 0.3
done
spec="trtype=rdma traddr=10.90.0.11 trsvcid=$port subnqn=$nqn hostaddr=$host_addr link=udp"
timeout 30 "$FLEXBLK" discover -t rdma -a 10.90.0.11 -s $port | tee "$SCRATCH/discovered"
grep -q "$nqn" "$SCRATCH/discovered" || fail "not discovered"
timeout 60 "$FLEXBLK" connect-all -t rdma -a 10.90.0.11 -s $port -w $host_addr > "$SCRATCH/connected" || fail "connect-all: $(cat "$SCRATCH/connected")"
grep -q "^ *trtype=rdma traddr=10.90.0.11 trsvcid=$port subnqn=$nqn hostaddr=$host_addr ns=1\$" "$SCRATCH/connected" ||
    fail "connect-all: $(cat "$SCRATCH/connected")"
head -c 2M /dev/urandom > "$SCRATCH/image"
timeout 60 "$FLEXBLK" write "$spec" < "$SCRATCH/image"
timeout 60 "$FLEXBLK" read "$spec" --count 2MiB | cmp - "$SCRATCH/image" || fail "not what was written"
fio --name=v --ioengine="external:$FLEXBLK_FIO" --thread=1 --traddr=10.90.0.11 --trsvcid=$port --subnqn=$nqn --nsid=1 --hostaddr=$host_addr \
    --link=udp --rw=randrw --bsrange=4k-128k --iodepth=16 --size=48M --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --minimal \
    > "$SCRATCH/fio.log" 2>&1 || fail "fio: $(cat "$SCRATCH/fio.log")"
# Two jobs of one process share port 4791, which is the only one that Linux answers to; another process is told.
timeout 60 "$FLEXBLK" bench "$spec" --rw randrw --bs 8k --iodepth 4 --jobs 2 --time 5 --ramp 0 --verify -o json > "$SCRATCH/two-jobs.json" &
jobs=$!
helper_pids+=($jobs)
sleep 1
if timeout 30 "$FLEXBLK" read "$spec" --count 4k > /dev/null 2> "$SCRATCH/told"; then fail "two processes on one port"; fi
grep -q 'answers to UDP port 4791, which another process' "$SCRATCH/told" || fail "no clear error: $(cat "$SCRATCH/told")"
wait $jobs || fail "two jobs: $(cat "$SCRATCH/two-jobs.json")"
grep -q '"errors": 0' "$SCRATCH/two-jobs.json" || fail "two jobs: $(cat "$SCRATCH/two-jobs.json")"
{ printf DONE && head -c 4092 /dev/zero; } | timeout 30 "$FLEXBLK" write "$spec"
wait $guest || fail "the guest"
dissected
helper_pids=()
