#!/usr/bin/env bash
# timeout: 60
# A flushed image survives SIGKILL of the target; and the host says so when nobody answers.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
target="trtype=rdma traddr=127.0.0.1 trsvcid=4420 subnqn=$nqn ns=1"
head -c 33554432 /dev/urandom > "$SCRATCH/image"
truncate -s 32M "$SCRATCH/disk.img"

serve -n $nqn "file:$SCRATCH/disk.img"
"$FLEXBLK" write "$target" < "$SCRATCH/image"
stop_server KILL
cmp "$SCRATCH/image" "$SCRATCH/disk.img" || fail "the file differs from what was written and flushed"

if timeout 20 "$FLEXBLK" read "$target" > "$SCRATCH/out" 2> "$SCRATCH/why"; then
    fail "read ended well without a target"
fi
grep -q 'no answer' "$SCRATCH/why" || fail "no reason given: $(cat "$SCRATCH/why")"

serve -n $nqn "file:$SCRATCH/disk.img"
"$FLEXBLK" read "$target" | cmp - "$SCRATCH/image" || fail "read back differs after the restart"
"$FLEXBLK" read "$target mode=roce" | cmp - "$SCRATCH/image" || fail "read back differs in RoCE mode"
# A part, at an offset, through pipes.
head -c 8192 /dev/zero | "$FLEXBLK" write "$target" --offset 4096
"$FLEXBLK" read "$target" --offset 4096 --count 8192 | cmp - <(head -c 8192 /dev/zero) || fail "offset write"

# What is there is told, what is not is refused with a reason. (Into a variable first: grep leaves at the first match, and
# a program whose reader left says so.)
tells() { local text; text=$("$FLEXBLK" "${@:2}" -t rdma -a 127.0.0.1) && grep -q "$1" <<< "$text"; }
tells "$nqn" discover -o json || fail "not in the discovery log"
tells FlexBlk id-ctrl || fail "id-ctrl"
tells 0x1 list-ns || fail "list-ns"
if "$FLEXBLK" read "${target/ns=1/ns=9}" > "$SCRATCH/out" 2> "$SCRATCH/why"; then fail "namespace 9 was read"; fi
grep -q 'namespace 9 does not exist' "$SCRATCH/why" || fail "no reason given: $(cat "$SCRATCH/why")"
status=0
"$FLEXBLK" bench 2> "$SCRATCH/why" || status=$?
[ $status = 2 ] || fail "misuse ended with status $status"
stop_server
