#!/usr/bin/env bash
# timeout: 120
# TLS with pre-shared keys over NVMe/TCP: right, wrong and missing keys, listeners that demand it and that merely offer it,
# keys that change while the target runs; and OpenSSL as a foreign host. Keys are never told.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

addr=127.0.58.1
host=nqn.2014-08.org.nvmexpress:uuid:4a1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d58
other=nqn.2014-08.org.nvmexpress:uuid:5b1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d58
nqn=nqn.2026-11.io.flexblk
key=$("$FLEXBLK" gen-tls-key)
long=$("$FLEXBLK" gen-tls-key -m 2)
wrong=$("$FLEXBLK" gen-tls-key)

# Keys: what was made is one, and the same as nvme-cli makes.
for made in "$key" "$long"; do
    "$FLEXBLK" check-tls-key <<< "$made" > /dev/null || fail "not a key: $made"
    ! command -v nvme > /dev/null || nvme check-tls-key -k "$made" > /dev/null || fail "nvme-cli refuses a key that was made here"
done
! "$FLEXBLK" check-tls-key -k "${key/-1:01/-1:02}" 2> /dev/null || fail "a key of the wrong length passes"
# (`nvme gen-tls-key -s` of nvme-cli 2.3 takes no key of 32 octets.)
hex=5512dbb6737d0106f65975b773dfb011ffc344bcf442e2dd6d8bc4870b5d5b03
[ "$("$FLEXBLK" gen-tls-key -s $hex)" = NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ: ] || fail "gen-tls-key -s"
if command -v nvme > /dev/null; then
    "$FLEXBLK" check-tls-key -k "$(nvme gen-tls-key -m 1 | grep ^NVMe)" > /dev/null || fail "a key of nvme-cli"
fi

{
    for port in 4420:required 4421:optional 4422:off; do
        printf '[[listener]]\ntrtype = "tcp"\ntraddr = "%s"\ntrsvcid = %s\ntls = "%s"\n' $addr ${port%:*} ${port#*:}
    done
    for name in a:$key b:$long; do
        printf '[[subsystem]]\nnqn = "%s:%s"\n' $nqn ${name%%:*}
        printf '[[subsystem.host]]\nnqn = "%s"\ntls_psk = "%s"\n' $host "${name#*:}"
        printf '[[subsystem.host]]\nnqn = "%s"\n' $other
        printf '[[subsystem.namespace]]\nuri = "mem:16MiB"\n'
    done
} > "$SCRATCH/serve.toml"
FLEXBLK_LOG=info serve --config "$SCRATCH/serve.toml" --control "$SCRATCH/control"

spec() { echo "trtype=tcp traddr=$addr trsvcid=$1 subnqn=$nqn:$2 hostnqn=${3:-$host}"; }
# refused WORDS ARGS…: a read that must fail, and say so in these words.
refused() {
    local words=$1
    shift
    ! timeout 30 "$FLEXBLK" read --count 4096 "$@" > /dev/null 2> "$SCRATCH/why" || fail "not refused: $*"
    grep -q "$words" "$SCRATCH/why" || fail "not '$words' but: $(cat "$SCRATCH/why")"
    ! grep -q "${key:16:20}\|${wrong:16:20}\|${long:16:20}" "$SCRATCH/why" || fail "a key was told"
}

# Both hashes, with and without digests, through both kinds of listeners.
head -c 3M /dev/urandom > "$SCRATCH/image"
for port in 4420 4421; do
    for name in a:$key b:$long; do
        to=$(spec $port ${name%%:*})
        timeout 20 "$FLEXBLK" write "$to hdgst=on ddgst=on" --tls-key "${name#*:}" < "$SCRATCH/image" || fail "write, $port $to"
        timeout 20 "$FLEXBLK" read "$to tls_key=${name#*:}" --count 3MiB | cmp - "$SCRATCH/image" || fail "read, $port $to"
    done
done
for depth in 1 32; do
    timeout 20 "$FLEXBLK" bench "$(spec 4420 a)" --tls-key "$key" --rw randrw --iodepth $depth --time 1 --ramp 0 -o json > "$SCRATCH/bench.json" || fail "bench"
    grep -q '"errors": 0' "$SCRATCH/bench.json" || fail "$(cat "$SCRATCH/bench.json")"
done

fio --name=verify --ioengine="external:$FLEXBLK_FIO" --thread=1 --trtype=tcp --traddr=$addr --subnqn=$nqn:b --hostnqn=$host --nsid=1 \
    --tls_key="$long" --rw=randrw --bsrange=4k-256k --iodepth=16 --size=8m --verify=crc32c --verify_state_save=0 > "$SCRATCH/fio.log" 2>&1 || fail "fio: $(cat "$SCRATCH/fio.log")"

# Without TLS: served where it is not demanded, but not under the name of a host that has a key.
timeout 20 "$FLEXBLK" read "$(spec 4421 a $other)" --count 4096 > /dev/null || fail "a plain host where TLS is merely offered"
timeout 20 "$FLEXBLK" read "$(spec 4422 a $other)" --count 4096 > /dev/null || fail "a plain host where there is no TLS"
refused . "$(spec 4420 a $other)"
refused 'Connect invalid host' "$(spec 4421 a)"
refused 'Connect invalid host' "$(spec 4422 a)"
# Wrong keys, keys of somebody else, and a target without TLS: no host goes on in the clear.
refused 'another TLS key' "$(spec 4420 a)" --tls-key "$wrong"
refused 'knows no TLS key' "$(spec 4420 a $other)" --tls-key "$key"
refused 'knows no TLS key' "$(spec 4420 none)" --tls-key "$key"
refused 'no TLS with' "$(spec 4422 a)" --tls-key "$key"
refused 'over TCP only' "trtype=rdma traddr=$addr subnqn=$nqn:a" --tls-key "$key"
refused 'checksum' "$(spec 4420 a)" --tls-key "${key:0:16}AAAA${key:20}"
refused 'not known' "$(spec 4420 a) tls_key=$key colour=red"

# The discovery log demands TLS where the listener does, and says nothing where it merely offers it.
"$FLEXBLK" discover -t tcp -a $addr -s 4420 -q $host --tls-key "$key" -o json > "$SCRATCH/log.json" || fail "discover"
treq=$(python3 -c 'import json,sys
log = json.load(open(sys.argv[1]))
print(sorted({(r["trsvcid"], r["treq"]) for r in log["records"]}))' "$SCRATCH/log.json")
echo "$treq" | grep -q "('4420', 'required'), ('4421', 'not_specified'), ('4422', 'not_specified')" || fail "discovery: $treq"

# OpenSSL is a foreign host: it shakes hands, and gets an ICResp for an ICReq.
if command -v openssl > /dev/null; then
    line=$("$FLEXBLK" check-tls-key -k "$key" -c $nqn:a -n $host --show-psk | grep ^NVMe0)
    icreq='\x00\x00\x80\x00\x80\x00\x00\x00'$(printf '\\x00%.0s' {1..120})
    foreign() { { printf "$icreq"; sleep 1; } | timeout 20 openssl s_client -tls1_3 -connect $addr:4420 -psk "$1" -psk_identity "$2" -quiet "${@:3}" 2> "$SCRATCH/openssl"; }
    foreign "${line#*$'\t'}" "${line%%$'\t'*}" > "$SCRATCH/icresp" || true
    [ "$(stat -c %s "$SCRATCH/icresp")" = 128 ] || fail "no ICResp over OpenSSL's TLS: $(cat "$SCRATCH/openssl")"
    [ "$(head -c 1 "$SCRATCH/icresp" | od -An -tu1 | tr -d ' ')" = 1 ] || fail "it is no ICResp"
    ! foreign $hex "${line%%$'\t'*}" > /dev/null || fail "OpenSSL with another key"
    grep -q 'alert decrypt error' "$SCRATCH/openssl" || fail "another key: $(cat "$SCRATCH/openssl")"
    foreign "${line#*$'\t'}" nobody > /dev/null || true
    grep -q 'alert unknown psk identity\|alert number 115' "$SCRATCH/openssl" || fail "another name: $(cat "$SCRATCH/openssl")"
fi

# A key that changes while the target runs: the old one is worth nothing to new connections.
sed -i "0,/tls_psk = .*/s//tls_psk = \"${wrong//\//\\/}\"/" "$SCRATCH/serve.toml"
"$FLEXBLK" apply --control "$SCRATCH/control" "$SCRATCH/serve.toml" > "$SCRATCH/plan" || fail "apply"
! grep -q "${key:16:20}\|${wrong:16:20}" "$SCRATCH/plan" || fail "the plan tells a key"
refused 'another TLS key' "$(spec 4420 a)" --tls-key "$key"
timeout 20 "$FLEXBLK" read "$(spec 4420 a)" --tls-key "$wrong" --count 4096 > /dev/null || fail "the new key"
# A listener that no longer demands it.
sed -i '0,/tls = "required"/s//tls = "optional"/' "$SCRATCH/serve.toml"
"$FLEXBLK" apply --control "$SCRATCH/control" "$SCRATCH/serve.toml" > /dev/null || fail "apply, listener"
timeout 20 "$FLEXBLK" read "$(spec 4420 a $other)" --count 4096 > /dev/null || fail "the listener still demands TLS"

stop_server
log=$(sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log")
for words in 'does not have the key that it named' 'no key is known by the name' 'does not speak TLS, which this listener demands' 'it must come with its TLS key'; do
    grep -q "$words" <<< "$log" || fail "no line says '$words': $log"
done
for name in tls.handshakes tls.failures tls.refused_plain tls.copied_bytes target.tls_refused; do
    count=$(sed -n "s/.*\"$name\" count=//p" <<< "$log")
    [ "${count:-0}" -ge 1 ] || fail "$name counts $count"
done
! grep -q "${key:16:20}\|${wrong:16:20}\|${long:16:20}" <<< "$log" || fail "the log tells a key"
