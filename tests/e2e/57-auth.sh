#!/usr/bin/env bash
# timeout: 120
# Hosts that must prove who they are: right, wrong and missing secrets, a controller that proves itself or cannot, by both
# fabrics and with small and large groups. Secrets are never told.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

addr=127.0.57.1
host=nqn.2014-08.org.nvmexpress:uuid:4a1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d0e
other=nqn.2014-08.org.nvmexpress:uuid:5b1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d0e
for name in host_secret ctrl_secret wrong; do
    declare "$name=$("$FLEXBLK" gen-dhchap-key)"
done
bound=$("$FLEXBLK" gen-dhchap-key -m 3 -n $host)

# Keys: what was made is one, and the same as nvme-cli makes.
for key in "$host_secret" "$bound"; do
    "$FLEXBLK" check-dhchap-key -k "$key" > "$SCRATCH/key" || fail "not a key: $(cat "$SCRATCH/key")"
    "$FLEXBLK" check-dhchap-key <<< "$key" | cmp - "$SCRATCH/key" || fail "otherwise from standard input"
done
! "$FLEXBLK" check-dhchap-key -k "${host_secret/DHHC-1:00/DHHC-1:03}" 2> /dev/null || fail "a key of the wrong length passes"
hex=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
if command -v nvme > /dev/null; then
    for words in '-m 0' "-m 1 -n $host"; do
        [ "$("$FLEXBLK" gen-dhchap-key -s $hex $words)" = "$(nvme gen-dhchap-key -s $hex $words)" ] || fail "gen-dhchap-key $words"
    done
    nvme check-dhchap-key -k "$bound" > /dev/null || fail "nvme-cli refuses a key that was made here"
fi

subsystem() { printf '[[subsystem]]\nnqn = "%s"\n[[subsystem.namespace]]\nuri = "mem:16MiB"\n' "$1"; }
{
    subsystem nqn.2026-11.io.flexblk:null
    printf '[[subsystem.host]]\nnqn = "%s"\ndhchap_secret = "%s"\n' $host "$host_secret"
    printf '[[subsystem.host]]\nnqn = "%s"\n' $other
    for group in ffdhe2048 ffdhe8192; do
        subsystem nqn.2026-11.io.flexblk:$group
        printf '[[subsystem.host]]\nnqn = "%s"\ndhchap_secret = "%s"\ndhchap_ctrl_secret = "%s"\n' $host "$bound" "$ctrl_secret"
        printf 'dhchap_hash = "sha512"\ndhchap_dhgroup = "%s"\n' $group
    done
    subsystem nqn.2026-11.io.flexblk:open
} > "$SCRATCH/serve.toml"
FLEXBLK_LOG=info serve --config "$SCRATCH/serve.toml" -t rdma,tcp -a $addr

spec() { echo "trtype=$1 traddr=$addr subnqn=nqn.2026-11.io.flexblk:$2 hostnqn=${3:-$host}"; }
# refused WORDS ARGS…: a read that must fail, and say so in these words.
refused() {
    local words=$1
    shift
    ! timeout 20 "$FLEXBLK" read --count 4096 "$@" > /dev/null 2> "$SCRATCH/why" || fail "not refused: $*"
    grep -q "$words" "$SCRATCH/why" || fail "not '$words' but: $(cat "$SCRATCH/why")"
    ! grep -q "${host_secret:12:20}\|${wrong:12:20}\|${bound:12:20}" "$SCRATCH/why" || fail "a secret was told"
}

head -c 1M /dev/urandom > "$SCRATCH/image"
for fabric in tcp rdma; do
    for group in null ffdhe2048 ffdhe8192; do
        secrets=(-S "$bound" -C "$ctrl_secret")
        [ $group != null ] || secrets=(-S "$host_secret")
        timeout 20 "$FLEXBLK" write "$(spec $fabric $group)" "${secrets[@]}" < "$SCRATCH/image" || fail "write, $fabric $group"
        words="dhchap_secret=${secrets[1]} ${secrets[3]:+dhchap_ctrl_secret=${secrets[3]}}"
        timeout 20 "$FLEXBLK" read "$(spec $fabric $group) $words" --count 1MiB | cmp - "$SCRATCH/image" || fail "read, $fabric $group"
    done
    refused 'demands authentication' "$(spec $fabric null)"
    refused 'refuses this host' "$(spec $fabric null)" -S "$wrong"
    refused 'refuses this host' "$(spec $fabric ffdhe2048)" -S "$wrong" -C "$ctrl_secret"
    refused 'could not prove' "$(spec $fabric ffdhe2048)" -S "$bound" -C "$wrong"
    refused 'could not prove' "$(spec $fabric open)" -S "$host_secret" -C "$ctrl_secret"
    timeout 20 "$FLEXBLK" read "$(spec $fabric null $other)" --count 4096 > /dev/null || fail "a host without a secret"
    timeout 20 "$FLEXBLK" read "$(spec $fabric open)" --count 4096 -S "$wrong" > /dev/null || fail "a secret that nobody wants"
done
refused 'checksum' "$(spec tcp null)" -S "${host_secret:0:12}AAAA${host_secret:16}"
refused 'not known' "$(spec tcp null) dhchap_secret=$host_secret colour=red"
"$FLEXBLK" id-ctrl -t tcp -a $addr -n nqn.2026-11.io.flexblk:ffdhe2048 -q $host -S "$bound" -C "$ctrl_secret" > /dev/null || fail id-ctrl

# Conversations in the largest group, again and again, hold up nobody.
timeout 60 "$FLEXBLK" bench "$(spec tcp open)" --rw randread --time 3 --ramp 0 -o json > "$SCRATCH/bench.json" &
load=$!
helper_pids=($load)
for _ in 1 2 3 4 5 6; do
    timeout 20 "$FLEXBLK" read "$(spec tcp ffdhe8192)" --count 4096 -S "$bound" -C "$ctrl_secret" > /dev/null || fail "under load"
done
wait $load || fail "load"
helper_pids=()
grep -q '"errors": 0' "$SCRATCH/bench.json" || fail "$(cat "$SCRATCH/bench.json")"
stop_server
log=$(sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log")
grep -q "host not authenticated.*$host.*reason=\"authentication failed\"" <<< "$log" || fail "no line tells of a refusal: $log"
failures=$(sed -n 's/.*"target.authentication_failures" count=//p' <<< "$log")
[ "$failures" -ge 6 ] || fail "$failures failures were counted"
! grep -q "${host_secret:12:20}\|${wrong:12:20}\|${bound:12:20}\|${ctrl_secret:12:20}" <<< "$log" || fail "the log tells a secret"
