#!/usr/bin/env bash
# timeout: 90
# A disk that runs full or fails: hosts get the NVMe status that Linux nvmet gives, what was acknowledged stays
# readable and equal, and the target lives on.
# In a mount namespace of its own: the small file system vanishes with the script, and no root is needed.
[ -n "${FLEXBLK_E2E_UNSHARED:-}" ] || FLEXBLK_E2E_UNSHARED=1 exec unshare --map-root-user --mount bash "$0"
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
mkdir "$SCRATCH/small"
mount -t tmpfs -o size=24m small "$SCRATCH/small"
truncate -s 64M "$SCRATCH/small/disk.img" "$SCRATCH/small/mapped.img"
head -c 67108864 /dev/urandom > "$SCRATCH/image"
field() { sed -n "s/.*\"$1\": \([0-9.]*\),*/\1/p" "$SCRATCH/bench.json"; }
# fails PATTERN COMMAND…: ends with status 1 and says PATTERN.
fails() {
    local pattern=$1 status=0
    shift
    "$@" > "$SCRATCH/bench.json" 2> "$SCRATCH/why" || status=$?
    [ $status = 1 ] || fail "$*: status $status: $(cat "$SCRATCH/why")"
    grep -q "$pattern" "$SCRATCH/why" || fail "$*: no '$pattern' in: $(cat "$SCRATCH/why")"
}

serve -a 127.0.80.1 -n $nqn "file:$SCRATCH/small/disk.img" 'mem:32MiB?fail=write:1%&fail=read:1%' \
    'mem:32MiB?fail=flush:1' 'mem:32MiB?fail=write:from100:capacity'
port="traddr=127.0.80.1 subnqn=$nqn"
write_image() { "$FLEXBLK" write "$@" < "$SCRATCH/image"; }

# Full: the part that fits was acknowledged, the rest is refused.
write_image "$port ns=1" --count 8MiB
fails 'Capacity exceeded (sct 0h sc 81h' write_image "$port ns=1"
"$FLEXBLK" read "$port ns=1" --count 8MiB | cmp -n 8388608 - "$SCRATCH/image" || fail "acknowledged data differs"
# In place there is room still, elsewhere there is none; nothing that was acknowledged is lost meanwhile.
tail -c 8388608 "$SCRATCH/image" | "$FLEXBLK" write "$port ns=1" --count 8MiB
"$FLEXBLK" read "$port ns=1" --count 8MiB | cmp - <(tail -c 8388608 "$SCRATCH/image") || fail "overwritten data differs"
fails 'Capacity exceeded' "$FLEXBLK" bench "$port ns=1" --rw randrw --bs 16k --verify --time 2 --ramp 0 -o json
[ "$(field mismatches)" = 0 ] || fail "full disk: $(field mismatches) reads are not what was acknowledged"
[ "$(field ios)" -gt 0 ] || fail "full disk: no I/O went well"
# Room again: everything works again.
mount -o remount,size=96m "$SCRATCH/small"
write_image "$port ns=1"
"$FLEXBLK" read "$port ns=1" | cmp - "$SCRATCH/image" || fail "read back differs after room was made"

# Failing: one I/O in a hundred.
fails 'I/Os failed, first: ' "$FLEXBLK" bench "$port ns=2" --rw randrw --bs 4k --verify --time 2 --ramp 0 -o json
grep -Eq 'Write fault \(sct 2h sc 80h|Unrecovered read error \(sct 2h sc 81h' "$SCRATCH/why" || fail "$(cat "$SCRATCH/why")"
[ "$(field mismatches)" = 0 ] || fail "failing disk: $(field mismatches) reads are not what was acknowledged"
awk -v e="$(field errors)" -v n="$(field ios)" 'BEGIN { exit !(e > 0 && e < n / 10) }' ||
    fail "$(field errors) of $(field ios) I/Os failed"
fails 'Flush: Write fault' write_image "$port ns=3" --count 4MiB
write_image "$port ns=3" --count 4MiB
fails 'Capacity exceeded' write_image "$port ns=4" --count 32MiB
if fio --name=full --ioengine="external:$FLEXBLK_FIO" --traddr=127.0.80.1 --subnqn=$nqn --nsid=4 --rw=write --bs=128k \
    > "$SCRATCH/fio.log" 2>&1; then
    fail "fio ended well on a full disk"
fi
grep -q 'No space left on device' "$SCRATCH/fio.log" || fail "fio gives no reason: $(cat "$SCRATCH/fio.log")"
stop_server

# A mapping could only run full with a signal: it is refused while there is no room for all of it.
mount -o remount,size=70m "$SCRATCH/small"
fails 'cannot have all of its blocks allocated .No space left' \
    timeout 10 "$FLEXBLK" serve -a 127.0.80.1 "mmap:$SCRATCH/small/mapped.img"
