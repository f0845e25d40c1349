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
