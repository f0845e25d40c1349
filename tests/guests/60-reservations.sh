#!/usr/bin/env bash
# timeout: 150
# Reservations of a stock Linux host: registered and acquired to persist through power loss, they are there again after the
# target was killed.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44260
truncate -s 16M "$SCRATCH/image"
args=(-t tcp -a 127.0.0.1 -s $port -n $nqn --state "$SCRATCH/state" --control "$SCRATCH/control" "file:$SCRATCH/image")
serve "${args[@]}"
successor reservations "$server_pid" KILL "${args[@]}" &
helper_pids+=($!)

guest reservations 120 <<'EOF'
connect tcp -i 1 --reconnect-delay=1
await 10 test -b /dev/nvme0n1
ns=/dev/nvme0n1
step "register, acquire"
nvme resv-register $ns --nrkey=0xa1 --rrega=0 --cptpl=3
nvme resv-acquire $ns --crkey=0xa1 --racqa=0 --rtype=1
nvme resv-report $ns -e -d 256 | tee /tmp/before
grep -q 'rtype *: *1' /tmp/before || fail "not acquired"
grep -q 'rkey *: *\(0x\)*a1' /tmp/before || fail "not registered"
echo END-KILL
back
step "after the restart"
nvme resv-report $ns -e -d 256 | tee /tmp/after
grep -v '^ *\(gen\|cntlid\)' /tmp/before > /tmp/b
grep -v '^ *\(gen\|cntlid\)' /tmp/after > /tmp/a
cmp /tmp/b /tmp/a || fail "not the same: $(cat /tmp/a)"
step "release, unregister"
nvme resv-release $ns --crkey=0xa1 --rrela=0 --rtype=1
nvme resv-register $ns --crkey=0xa1 --rrega=1
nvme resv-report $ns -e -d 256 | grep -q 'regctl *: *0' || fail "still registered"
nvme disconnect -n $nqn
EOF
server_pid=
