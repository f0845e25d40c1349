#!/usr/bin/env bash
# timeout: 90
# Mistakes of people: status 2 for words that can mean nothing, 1 for what the machine or the target refuses,
# each with a sentence that says what is wrong; no panic, and the target lives on.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:e2e
serve -a 127.0.50.1 -n $nqn mem:16MiB
port="traddr=127.0.50.1 subnqn=$nqn"

# refused STATUS PATTERN ARGS…: flexblk ARGS… ends in time with STATUS, and says PATTERN on standard error.
refused() {
    local want=$1 pattern=$2 status=0
    shift 2
    timeout 20 "$FLEXBLK" "$@" > "$SCRATCH/out" 2> "$SCRATCH/why" < "${input:-/dev/null}" || status=$?
    if grep -q 'panicked' "$SCRATCH/why"; then fail "flexblk $*: $(cat "$SCRATCH/why")"; fi
    [ $status = "$want" ] || fail "flexblk $*: status $status instead of $want: $(cat "$SCRATCH/why")"
    grep -Eq -- "$pattern" "$SCRATCH/why" || fail "flexblk $*: no '$pattern' in: $(cat "$SCRATCH/why")"
}

refused 2 'Usage:'
refused 2 "unexpected argument '--nope'" bench "$port" --nope
refused 2 'required.*not provided' serve
refused 2 'is no disk: write file:' serve -a 127.0.50.9 bogus:1
refused 2 'is no size: write' serve -a 127.0.50.9 mem:zzz
refused 2 'unknown option "nope"' serve -a 127.0.50.9 'mem:1MiB?nope=1'
refused 2 'an NQN begins with' serve -a 127.0.50.9 -n bad mem:1MiB
refused 2 "'lose' is none of drop, duplicate" serve -a 127.0.50.9 --inject lose:ack:1 mem:1MiB
refused 2 'send-first, send-middle' serve -a 127.0.50.9 --inject drop:acknowledgement:1 mem:1MiB
refused 2 'packets of RDMA: add -t rdma' serve -a 127.0.50.9 -t tcp --inject drop:ack:1 mem:1MiB
refused 2 "invalid value 'reno' for '--cc" serve -a 127.0.50.9 --cc reno mem:1MiB
grep -q 'possible values: fixed, swift, dcqcn' "$SCRATCH/why" || fail "no way out: $(cat "$SCRATCH/why")"
refused 2 'is for RDMA.*add -t rdma' serve -a 127.0.50.9 -t tcp --cc dcqcn mem:1MiB
refused 1 'does not exist: add create' serve -a 127.0.50.9 "file:$SCRATCH/absent"
refused 1 'cannot listen on .* another' serve -a 127.0.50.1 mem:1MiB

printf 'traddrr = "127.0.50.9"\n' > "$SCRATCH/typo.toml"
refused 2 'typo.toml.*|unknown field .traddrr., expected' serve --config "$SCRATCH/typo.toml"
grep -q 'expected one of.*traddr' "$SCRATCH/why" || fail "no way out: $(cat "$SCRATCH/why")"
printf '[[subsystem]]\nnqn = "%s"\n[[subsystem.namespace]]\nurl = "mem:1MiB"\n' $nqn > "$SCRATCH/typo.toml"
refused 2 'unknown field .url., expected' serve --config "$SCRATCH/typo.toml"
refused 1 'absent.toml: No such file' serve --config "$SCRATCH/absent.toml"

refused 2 'not an IP address' read traddr=x
refused 2 'colour= is not known' read "$port colour=red"
refused 2 'cc=reno: one of fixed, swift, dcqcn' bench "$port cc=reno"
refused 2 'cc= is for trtype=rdma' bench "trtype=tcp $port cc=swift"
refused 2 'send-first, send-middle' read "$port" --inject drop:acknowledgement:1
refused 1 'hits packets of RDMA: say trtype=rdma' read "trtype=tcp $port" --inject drop:ack:1
refused 1 'neither recorded nor hit: link=udp' read "$port link=shm" --inject drop:ack:1
refused 2 'names no subsystem: add subnqn=NQN' read traddr=127.0.50.1
refused 2 'is not a size: write 4096' read "$port" --offset 1x
refused 2 'takes some time' bench "$port" --time 0
refused 1 'no answer from 127.0.50.9:4420: is the target running' read "traddr=127.0.50.9 subnqn=$nqn"
refused 1 'refuses: nothing listens on that port' read "$port trsvcid=4421"
refused 1 'exports no subsystem .*:wrong.*flexblk discover' read "traddr=127.0.50.1 subnqn=$nqn:wrong"
refused 1 'namespace 7 does not exist' read "$port ns=7"
refused 1 'namespace 7 does not exist' id-ns -a 127.0.50.1 --namespace-id 7
refused 1 'beyond the end of the namespace .16777216 octets' read "$port" --offset 1GiB
refused 1 'beyond the end of the namespace' read "$port" --offset 18446744073709547520 --count 8192
refused 1 'must be multiples of the namespace.s block, 4096' read "$port" --offset 1
refused 1 'must be a multiple of the block, 4096' bench "$port" --bs 1000

# Standard input: too little for --count and too much for the namespace are told; what fits is there.
head -c 5000 /dev/urandom > "$SCRATCH/short"
input=$SCRATCH/short refused 1 'ended after 5000 octets of --count 8192' write "$port" --count 8192
"$FLEXBLK" read "$port" --count 8192 | cmp -n 5000 - "$SCRATCH/short" || fail "the octets given were not written"
head -c 17000000 /dev/zero > "$SCRATCH/long"
input=$SCRATCH/long refused 1 'longer than the namespace .16777216 octets' write "$port"
head -c 8192 "$SCRATCH/long" | "$FLEXBLK" write "$port" --count 4096 || fail "--count did not bound standard input"

# Compare and Write: what is there is exchanged; anything else, and what cannot be compared, is left alone.
head -c 4096 "$SCRATCH/long" > "$SCRATCH/was"
head -c 4096 /dev/urandom > "$SCRATCH/new"
input=$SCRATCH/short refused 2 'make them equally long' write "$port" --if-equal "$SCRATCH/was"
input=$SCRATCH/new refused 1 'none: No such file' write "$port" --if-equal "$SCRATCH/none"
input=$SCRATCH/new refused 1 'must be multiples' write "$port" --offset 8 --if-equal "$SCRATCH/was"
input=$SCRATCH/long refused 1 'length must be' write "$port" --if-equal "$SCRATCH/long"
"$FLEXBLK" write "$port" --if-equal "$SCRATCH/was" < "$SCRATCH/new" || fail "what was there was not exchanged"
input=$SCRATCH/was refused 1 'something else there: nothing was written' write "$port" --if-equal "$SCRATCH/was"
"$FLEXBLK" read "$port" --count 4096 | cmp - "$SCRATCH/new" || fail "not exchanged, or by the wrong one"
"$FLEXBLK" write "$port" --if-equal "$SCRATCH/new" < "$SCRATCH/was" || fail "what was there was not exchanged again"

# What a host loses on purpose is sent again: the first and the last packet of the data, of a write on its way out and
# of a read on its way in, in both wire modes.
head -c 131072 /dev/urandom > "$SCRATCH/data"
hit() { sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/why" | grep -q 'name="inject.dropped" count=2' || fail "$mode: $1 lost $(cat "$SCRATCH/why")"; }
for mode in native roce; do
    FLEXBLK_LOG=info "$FLEXBLK" write "$port mode=$mode" --inject drop:read-response-first:1 --inject drop:read-response-last:1 \
        < "$SCRATCH/data" 2> "$SCRATCH/why" || fail "a write with losses: $(cat "$SCRATCH/why")"
    hit "the write"
    FLEXBLK_LOG=info "$FLEXBLK" read "$port mode=$mode" --count 131072 --inject drop:write-first:1 --inject drop:write-last:1 \
        2> "$SCRATCH/why" > "$SCRATCH/out" || fail "a read with losses: $(cat "$SCRATCH/why")"
    hit "the read"
    cmp "$SCRATCH/out" "$SCRATCH/data" || fail "$mode: losses changed octets"
    head -c 131072 "$SCRATCH/long" | "$FLEXBLK" write "$port"
done

# Readers that leave, and a full disk behind standard output.
for verb in "read '$port'" "discover -a 127.0.50.1" "id-ctrl -a 127.0.50.1 -o json" "list-ns -a 127.0.50.1" \
    "bench '$port' --time 0.1 --ramp 0 -o json"; do
    status=0
    eval "'$FLEXBLK' $verb" 2> "$SCRATCH/why" > /dev/full || status=$?
    [ $status = 1 ] || fail "$verb on a full disk: status $status: $(cat "$SCRATCH/why")"
    grep -q 'standard output: No space left' "$SCRATCH/why" || fail "$verb on a full disk: $(cat "$SCRATCH/why")"
    (eval "'$FLEXBLK' $verb" 2> "$SCRATCH/why" || true) | head -c 1 > "$SCRATCH/out"
    if grep -q panicked "$SCRATCH/why"; then fail "$verb | head -c 1: $(cat "$SCRATCH/why")"; fi
done
("$FLEXBLK" read "$port" 2> "$SCRATCH/why" || echo "status $?" >> "$SCRATCH/why") | head -c 1 > "$SCRATCH/out"
grep -q 'standard output: Broken pipe' "$SCRATCH/why" && grep -q '^status 1$' "$SCRATCH/why" ||
    fail "read | head -c 1: $(cat "$SCRATCH/why")"
"$FLEXBLK" read "$port" --count 4096 | cmp -n 4096 - "$SCRATCH/long" || fail "the target does not serve any more"
stop_server
