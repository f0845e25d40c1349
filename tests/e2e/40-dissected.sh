#!/usr/bin/env bash
# timeout: 90
# An independent reader of what is on the wire: tshark finds no malformed packet in a RoCEv2 session.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
serve -n $nqn --pcap "$SCRATCH/wire.pcap" mem:16MiB
head -c 1048576 /dev/urandom > "$SCRATCH/image"
target="trtype=rdma traddr=127.0.0.1 subnqn=$nqn ns=1 mode=roce"
"$FLEXBLK" write "$target" --count 1048576 < "$SCRATCH/image"
"$FLEXBLK" read "$target" --count 1048576 | cmp - "$SCRATCH/image"
stop_server
tshark -r "$SCRATCH/wire.pcap" -Y infiniband -T fields -e infiniband.bth.opcode > "$SCRATCH/opcodes" 2> "$SCRATCH/tshark.log"
packets=$(wc -l < "$SCRATCH/opcodes")
[ "$packets" -gt 500 ] || fail "tshark read $packets RoCEv2 packets: $(cat "$SCRATCH/tshark.log")"
malformed=$(tshark -r "$SCRATCH/wire.pcap" -Y '_ws.malformed' 2>> "$SCRATCH/tshark.log" | wc -l)
[ "$malformed" = 0 ] || fail "$malformed malformed packets"
echo "$packets RoCEv2 packets, none malformed"

# Congestion control by marks: both sides' packets may be marked, so routers see it; those of other kinds may not.
for cc in dcqcn swift; do
    serve -n $nqn --pcap "$SCRATCH/$cc.pcap" --cc $cc mem:16MiB
    "$FLEXBLK" bench "$target cc=$cc link=udp" --rw randrw --bs 64k --time 0.1 --ramp 0 --verify -o json > "$SCRATCH/report.json" ||
        fail "bench with cc=$cc"
    stop_server
    tshark -c 400 -r "$SCRATCH/$cc.pcap" -Y infiniband -T fields -e ip.src -e ip.dsfield.ecn 2>> "$SCRATCH/tshark.log" | sort -u > "$SCRATCH/marks"
    [ $cc = dcqcn ] && ecn=2 || ecn=0
    awk -v ecn=$ecn '{ sides[$1] } $2 != ecn { wrong = 1 } END { exit wrong || length(sides) != 2 }' "$SCRATCH/marks" ||
        fail "cc=$cc: ECN by source: $(cat "$SCRATCH/marks")"
done
