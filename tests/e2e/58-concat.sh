#!/usr/bin/env bash
# timeout: 120
# Secure channel concatenation: a host that has no key for TLS proves itself, and goes on with TLS and a key that both sides
# made of it. No going on without, and secrets are never told.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

addr=127.0.58.9
host=nqn.2014-08.org.nvmexpress:uuid:6c1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d58
other=nqn.2014-08.org.nvmexpress:uuid:7d1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d58
nqn=nqn.2026-11.io.flexblk:concat
secret=$("$FLEXBLK" gen-dhchap-key)
ctrl=$("$FLEXBLK" gen-dhchap-key)
wrong=$("$FLEXBLK" gen-dhchap-key)

{
    for port in 4420:optional 4422:off; do
        printf '[[listener]]\ntrtype = "tcp"\ntraddr = "%s"\ntrsvcid = %s\ntls = "%s"\n' $addr ${port%:*} ${port#*:}
    done
    printf '[[subsystem]]\nnqn = "%s"\n' $nqn
    printf '[[subsystem.host]]\nnqn = "%s"\ndhchap_secret = "%s"\ndhchap_ctrl_secret = "%s"\n' $host "$secret" "$ctrl"
    printf '[[subsystem.host]]\nnqn = "%s"\ndhchap_secret = "%s"\ndhchap_hash = "sha384"\ndhchap_dhgroup = "ffdhe3072"\n' $other "$secret"
    printf '[[subsystem.namespace]]\nuri = "mem:16MiB"\n'
} > "$SCRATCH/serve.toml"
FLEXBLK_LOG=info serve --config "$SCRATCH/serve.toml" --control "$SCRATCH/control"

spec() { echo "trtype=tcp traddr=$addr trsvcid=$1 subnqn=$nqn hostnqn=${2:-$host}"; }
# refused WORDS ARGS…: a read that must fail, and say so in these words.
refused() {
    local words=$1
    shift
    ! timeout 30 "$FLEXBLK" read --count 4096 "$@" > /dev/null 2> "$SCRATCH/why" || fail "not refused: $*"
    grep -q "$words" "$SCRATCH/why" || fail "not '$words' but: $(cat "$SCRATCH/why")"
    ! grep -q "${secret:11:20}\|${wrong:11:20}" "$SCRATCH/why" || fail "a secret was told"
}

# In one direction and in both, with both hashes, as a word and as an option.
head -c 3M /dev/urandom > "$SCRATCH/image"
timeout 20 "$FLEXBLK" write "$(spec 4420) concat=on" -S "$secret" < "$SCRATCH/image" || fail "write"
timeout 20 "$FLEXBLK" read "$(spec 4420)" -S "$secret" -C "$ctrl" --concat --count 3MiB | cmp - "$SCRATCH/image" || fail "read"
timeout 20 "$FLEXBLK" read "$(spec 4420 $other)" -S "$secret" --concat --count 3MiB | cmp - "$SCRATCH/image" || fail "read, SHA-384"
timeout 20 "$FLEXBLK" bench "$(spec 4420) hdgst=on ddgst=on" -S "$secret" --concat --rw randrw --verify --iodepth 16 --jobs 2 --time 2 \
    -o json > "$SCRATCH/bench.json" 2> "$SCRATCH/bench.err" || fail "bench: $(cat "$SCRATCH/bench.err")"
grep -q '"errors": 0' "$SCRATCH/bench.json" || fail "$(cat "$SCRATCH/bench.json")"
grep -q '"tls.copied_bytes": [1-9]' "$SCRATCH/bench.json" || fail "it is no TLS: $(cat "$SCRATCH/bench.json")"
# Looking, too: the discovery service, which nobody has to prove anything to, is read as it is.
timeout 30 "$FLEXBLK" connect-all -t tcp -a $addr -n $nqn -q $host -S "$secret" --concat > "$SCRATCH/connected" 2>&1 &&
    fail "connect-all at a listener without TLS"
grep -q 'trsvcid=4420: connected' "$SCRATCH/connected" || fail "connect-all: $(cat "$SCRATCH/connected")"
grep -q 'trsvcid=4422: .*concatenation mismatch' "$SCRATCH/connected" || fail "connect-all: $(cat "$SCRATCH/connected")"
# Without it, the same host is served as before.
timeout 20 "$FLEXBLK" read "$(spec 4420)" -S "$secret" --count 4096 > /dev/null || fail "a host that asks for no key"

# fio does it, too, or proves itself only. What it refuses tells no secret.
verified() { # ARGS…: a job that ends well
    fio --name=verify --ioengine="external:$FLEXBLK_FIO" --thread=1 --trtype=tcp --traddr=$addr --subnqn=$nqn --hostnqn=$host --rw=randrw \
        --bsrange=4k-256k --iodepth=16 --size=8m --verify=crc32c --verify_state_save=0 "$@" > "$SCRATCH/fio.log" 2>&1
}
unverified() { # WORDS ARGS…: one that is refused in these words
    local words=$1
    shift
    ! verified "$@" || fail "fio is not refused: $*"
    grep -q "$words" "$SCRATCH/fio.log" || fail "not '$words' but: $(cat "$SCRATCH/fio.log")"
    ! grep -q "${secret:11:20}\|${wrong:11:20}" "$SCRATCH/fio.log" || fail "fio tells a secret"
}
verified --dhchap_secret="$secret" --dhchap_ctrl_secret="$ctrl" --concat=on || fail "fio: $(cat "$SCRATCH/fio.log")"
verified --trsvcid=4422 --dhchap_secret="$secret" || fail "fio without TLS: $(cat "$SCRATCH/fio.log")"
unverified 'concatenation mismatch' --trsvcid=4422 --dhchap_secret="$secret" --concat=on
unverified 'authentication failed' --dhchap_secret="$wrong"
unverified 'controller could not prove' --dhchap_secret="$secret" --dhchap_ctrl_secret="$wrong"

# No secret, a wrong one, no TLS there, and what makes no sense: no connection, least of all in the clear.
refused 'concatenation mismatch' "$(spec 4422) concat=on" -S "$secret"
refused 'authentication failed' "$(spec 4420) concat=on" -S "$wrong"
refused "needs this host's secret" "$(spec 4420) concat=on"
refused 'is for trtype=tcp' "trtype=rdma traddr=$addr subnqn=$nqn" -S "$secret" --concat
refused 'leave the TLS key out' "$(spec 4420)" -S "$secret" --concat --tls-key "$("$FLEXBLK" gen-tls-key)"
refused 'leave path= out' "$(spec 4420) path=$addr:4422 concat=on" -S "$secret"
refused 'on or off' "$(spec 4420) concat=yes" -S "$secret"

# A target that goes and comes back under load has no key of before: another one is made.
"$FLEXBLK" bench "$(spec 4420) concat=on" -S "$secret" --rw randrw --iodepth 8 --time 5 -o json > "$SCRATCH/bench.json" 2> "$SCRATCH/bench.err" &
helper_pids=($!)
sleep 1
stop_server KILL
first=$(cat "$SCRATCH/serve.log")
FLEXBLK_LOG=info serve --config "$SCRATCH/serve.toml" --control "$SCRATCH/control"
wait "${helper_pids[0]}" || fail "the load: $(cat "$SCRATCH/bench.err")"
helper_pids=()
grep -q '"errors": 0' "$SCRATCH/bench.json" || fail "$(cat "$SCRATCH/bench.json")"
stop_server
log=$(sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log")
count=$(sed -n 's/.*"target.tls_generated" count=//p' <<< "$log")
[ "${count:-0}" -ge 1 ] || fail "target.tls_generated counts $count"
! grep -q "${secret:11:20}\|${ctrl:11:20}\|${wrong:11:20}" <<< "$first$log" || fail "the log tells a secret"
