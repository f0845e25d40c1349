#!/usr/bin/env bash
# timeout: 180
# NVMe/TCP: the same data as by RDMA, with every setting of digests; fio's checks; a target that is killed and comes back;
# hosts that are killed, and peers that speak nonsense, leave others alone; tshark finds no malformed PDU.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
addr=127.0.45.1
port="traddr=$addr subnqn=$nqn"
tcp="trtype=tcp $port"

# bench NAME TARGET ARGS…: a verified load; its report is $SCRATCH/NAME.json.
bench() {
    local name=$1 target=$2
    shift 2
    timeout 60 "$FLEXBLK" bench "$target" "$@" -o json > "$SCRATCH/$name.json" 2> "$SCRATCH/$name.log" ||
        fail "$name: $(cat "$SCRATCH/$name.log")"
    grep -q '"errors": 0' "$SCRATCH/$name.json" || fail "$name: $(cat "$SCRATCH/$name.json")"
}

truncate -s 256M "$SCRATCH/disk.img"
FLEXBLK_LOG=info serve -t rdma,tcp -a $addr -n $nqn mem:256MiB "file:$SCRATCH/disk.img"

# Both fabrics are told, and lead to the same blocks.
for transport in rdma tcp; do
    timeout 20 "$FLEXBLK" discover -t $transport -a $addr -o json > "$SCRATCH/log.json" || fail "discover by $transport"
    for trtype in rdma tcp; do
        grep -q "\"trtype\": \"$trtype\"" "$SCRATCH/log.json" || fail "$transport does not tell of $trtype"
    done
done
"$FLEXBLK" id-ctrl -t tcp -a $addr > "$SCRATCH/id-ctrl"
grep -q '^ioccsz *: 1028$' "$SCRATCH/id-ctrl" || fail "in-capsule data is not 16 KiB"
head -c 64M /dev/urandom > "$SCRATCH/image"
for digests in 'hdgst=off ddgst=off' 'hdgst=on' 'ddgst=on' 'hdgst=on ddgst=on'; do
    timeout 60 "$FLEXBLK" write "$tcp $digests" < "$SCRATCH/image" || fail "write, $digests"
    timeout 60 "$FLEXBLK" read "trtype=rdma $port" --count 64MiB | cmp - "$SCRATCH/image" || fail "written over TCP, $digests"
    { tail -c +4097 "$SCRATCH/image" && head -c 4096 "$SCRATCH/image"; } > "$SCRATCH/next"
    mv "$SCRATCH/next" "$SCRATCH/image"
    timeout 60 "$FLEXBLK" write "trtype=rdma $port" < "$SCRATCH/image" || fail "write by RDMA"
    uri="nvme-tcp://$addr/$nqn/1?$(tr " " "&" <<< "$digests")"
    timeout 60 "$FLEXBLK" read "$uri" --count 64MiB | cmp - "$SCRATCH/image" ||
        fail "read over TCP, $digests"
    bench digests "$tcp $digests" --rw randrw --verify --time 0.5 --ramp 0
    bench long "$tcp $digests ns=2" --rw randrw --bs 128k --iodepth 16 --verify --time 0.5 --ramp 0
done
grep -q '"link": "tcp"' "$SCRATCH/long.json" || fail "it did not go by TCP"
# Both fabrics at once, on one namespace each and on the same threads.
bench beside "trtype=rdma $port ns=2 link=udp" --rw randrw --verify --time 2 &
beside=$!
bench many "$tcp" --rw randrw --jobs 20 --iodepth 8 --verify --time 2
wait $beside || exit 1

for nsid in 1 2; do
    fio --name=verify --ioengine="external:$FLEXBLK_FIO" --trtype=tcp --traddr=$addr --subnqn=$nqn --nsid=$nsid \
        --rw=randwrite --bsrange=4k-1m --iodepth=32 --numjobs=4 --size=25% --offset_increment=25% --verify=crc32c \
        --do_verify=1 --verify_fatal=1 --verify_state_save=0 --group_reporting=1 > "$SCRATCH/fio.log" 2>&1 ||
        fail "fio, namespace $nsid: $(cat "$SCRATCH/fio.log")"
    grep -q 'err= 0' "$SCRATCH/fio.log" || fail "fio, namespace $nsid: $(cat "$SCRATCH/fio.log")"
done
fio --name=mixed --ioengine="external:$FLEXBLK_FIO" --thread=1 --trtype=tcp --traddr=$addr --subnqn=$nqn --nsid=1 \
    --hdgst=on --ddgst=on --rw=randtrimwrite --bs=4k --iodepth=1024 --fsync=64 --io_size=64m > "$SCRATCH/fio.log" 2>&1 ||
    fail "trim, sync, threads: $(cat "$SCRATCH/fio.log")"

# Nonsense, silence and hosts that are killed, while another goes on.
bench untouched "$tcp" --rw randrw --verify --time 3 &
load=$!
for nonsense in 'GET / HTTP/1.1\r\n\r\n' '\x00\x00\x80\x00\x80\x00\x00\x00' '\x01\x00\x80\x00\x80\x00\x00\x00' ''; do
    exec 9<> "/dev/tcp/$addr/4420"
    printf "$nonsense" >&9
    # A termination request, the end, or nothing yet: no more than that.
    timeout 0.3 cat <&9 > /dev/null || true
    exec 9>&-
done
for round in 1 2 3; do
    "$FLEXBLK" bench "$tcp ns=2" --rw randrw --time 15 > /dev/null 2>&1 &
    victim=$!
    helper_pids=($load $victim)
    sleep 0.4
    kill -KILL $victim
    wait $victim 2> /dev/null || true
done
wait $load || exit 1
helper_pids=()
stop_server
faults=$(sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log" | sed -n 's/.*"tcp.faults" count=//p')
[ "$faults" = 2 ] || fail "$faults peers broke the protocol"

# The target is killed under load and comes back.
FLEXBLK_LOG=info serve -t tcp -a $addr -n $nqn "file:$SCRATCH/disk.img"
bench back "$tcp" --rw randrw --time 6 --iodepth 16 &
load=$!
timeout 60 fio --name=job --ioengine="external:$FLEXBLK_FIO" --trtype=tcp --traddr=$addr --subnqn=$nqn --rw=randrw --bs=4k \
    --iodepth=16 --time_based --runtime=6 > "$SCRATCH/fio.log" 2>&1 &
fio=$!
helper_pids=($load $fio)
tries=0
until [ "$(told connections)" = 4 ]; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || fail "the hosts did not come: $(told connections) connections"
    sleep 0.05
done
sleep 0.5
stop_server KILL
sleep 1
serve -t tcp -a $addr -n $nqn "file:$SCRATCH/disk.img"
wait $load || fail "the load did not survive the target's end"
wait $fio || fail "fio did not survive the target's end: $(cat "$SCRATCH/fio.log")"
helper_pids=()
stop_server

# Dissected.
if ! tshark -D 2> /dev/null | grep -qw lo; then
    echo "no dissection: packets of the loopback device cannot be captured here"
    exit 0
fi
serve -t tcp -a $addr -n $nqn mem:64MiB
tshark -q -i lo -f "host $addr and tcp port 4420" -w "$SCRATCH/wire.pcapng" > "$SCRATCH/tshark.log" 2>&1 &
capture=$!
helper_pids=($capture)
sleep 2
for digests in 'hdgst=off' 'hdgst=on ddgst=on'; do
    "$FLEXBLK" write "$tcp $digests" --count 1MiB < "$SCRATCH/image"
    "$FLEXBLK" read "$tcp $digests" --count 1MiB > /dev/null
    "$FLEXBLK" bench "$tcp $digests" --rw randrw --bs 4k --iodepth 4 --time 0.1 --ramp 0 > /dev/null
done
sleep 1
kill -INT $capture
wait $capture || true
helper_pids=()
stop_server
dissect() { tshark -r "$SCRATCH/wire.pcapng" -d tcp.port==4420,nvme-tcp "$@" 2>> "$SCRATCH/tshark.log"; }
pdus=$(dissect -Y nvme-tcp -T fields -e nvme-tcp.type | tr ',' '\n' | wc -l)
[ "$pdus" -gt 200 ] || fail "tshark read $pdus PDUs: $(cat "$SCRATCH/tshark.log")"
for type in 0 1 4 5 6 7 9; do
    [ "$(dissect -Y "nvme-tcp.type == $type" | wc -l)" -gt 0 ] || fail "tshark saw no PDU of type $type"
done
malformed=$(dissect -Y '_ws.malformed || nvme-tcp.type == 2 || nvme-tcp.type == 3' | wc -l)
[ "$malformed" = 0 ] || fail "$malformed malformed PDUs"
bad=$(dissect -Y 'nvme-tcp.hdgst.status == 0 || nvme-tcp.ddgst.status == 0' | wc -l)
[ "$bad" = 0 ] || fail "$bad wrong digests"
echo "$pdus PDUs, none malformed"
