#!/usr/bin/env bash
# timeout: 240
# TLS 1.3 with pre-shared keys between this project and Linux, whose kernel does the records: Linux as a host, with keys of
# both hashes, and with a wrong one; Linux as a target that demands it.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44252
nvmet_port=44253
guest_forward=hostfwd=tcp:127.0.0.1:$nvmet_port-:4420
key=$("$FLEXBLK" gen-tls-key)
long=$("$FLEXBLK" gen-tls-key -m 2)
{
    printf '[[listener]]\ntrtype = "tcp"\ntraddr = "127.0.0.1"\ntrsvcid = %s\ntls = "required"\n' $port
    for name in a:$key b:$long c:$key; do
        printf '[[subsystem]]\nnqn = "%s-%s"\n[[subsystem.namespace]]\nuri = "mem:64MiB"\n' $nqn "${name%%:*}"
        printf '[[subsystem.host]]\nnqn = "%s"\ntls_psk = "%s"\n' $host_nqn "${name#*:}"
    done
} > "$SCRATCH/serve.toml"
FLEXBLK_LOG=info serve --config "$SCRATCH/serve.toml"

# add KEY SUBSYSTEM [VERSION]: a line for the guest that puts what this key stands for into its kernel's keyring.
add() {
    "$FLEXBLK" check-tls-key -c "$2" -n $host_nqn --show-psk <<< "$1" |
        sed -n "s/^\(NVMe${3:-1}R[^\t]*\)\t\(.*\)/tlshd add '\1' \2/p"
}
guest tls 200 < <(
    add "$key" $nqn-a
    add "$long" $nqn-b
    # Another key under the same name: identities of version 0 do not tell them apart.
    add "$("$FLEXBLK" gen-tls-key)" $nqn-c 0
    # For this machine's host at the guest's target.
    add "$key" $nqn-nvmet
    cat <<'EOS'
tlshd > /tmp/tlshd.log 2>&1 &
await 10 grep -q ready /tmp/tlshd.log
# nvme-cli 2.3 has no word for it: this is what newer ones write.
secure() {
    echo "transport=tcp,traddr=$host_addr,trsvcid=$port,nqn=$1,hostnqn=$host_nqn,hostid=$host_id,tls" \
        2> /dev/null > /dev/nvme-fabrics
}
for name in a b; do
    step "as a host, subsystem $name"
    secure $nqn-$name || fail "no connection: $(cat /tmp/tlshd.log; dmesg | tail -5)"
    await 20 test -b /dev/nvme0n1
    verified /dev/nvme0n1 --size=16M
    cat /tmp/tlshd.log
    [ "$(grep -c "GCM.*$nqn-$name" /tmp/tlshd.log)" -ge 2 ] || fail "not both queues by TLS"
    nvme disconnect -n $nqn-$name
done
grep -q AES_256_GCM_SHA384 /tmp/tlshd.log || fail "no key of SHA-384"
no_kernel_errors
step "with a wrong key, and without TLS"
! secure $nqn-c || fail "connected with a wrong key"
! echo "transport=tcp,traddr=$host_addr,trsvcid=$port,nqn=$nqn-a,hostnqn=$host_nqn,hostid=$host_id" 2> /dev/null > /dev/nvme-fabrics ||
    fail "connected without TLS"

step "as a target"
cd /sys/kernel/config/nvmet
mkdir subsystems/$nqn-nvmet subsystems/$nqn-nvmet/namespaces/1
echo 1 > subsystems/$nqn-nvmet/attr_allow_any_host
echo /dev/ram0 > subsystems/$nqn-nvmet/namespaces/1/device_path
echo 1 > subsystems/$nqn-nvmet/namespaces/1/enable
mkdir ports/1
echo tcp > ports/1/addr_trtype
echo ipv4 > ports/1/addr_adrfam
echo 10.0.2.15 > ports/1/addr_traddr
echo 4420 > ports/1/addr_trsvcid
echo tls1.3 > ports/1/addr_tsas
echo required > ports/1/addr_treq
ln -s /sys/kernel/config/nvmet/subsystems/$nqn-nvmet ports/1/subsystems/
echo TARGET-READY
# The host writes this word when it is done.
is_done() { [ "$(dd if=/dev/ram0 bs=4k count=1 iflag=direct 2> /dev/null | head -c 4)" = DONE ]; }
await 60 is_done
cat /tmp/tlshd.log
EOS
) &
guest=$!
helper_pids=($guest)
until grep -aq TARGET-READY "$SCRATCH/tls.log" 2> /dev/null; do
    kill -0 $guest 2> /dev/null || { wait $guest; fail "the guest ended: $(tail -20 "$SCRATCH/tls.log")"; }
    sleep 0.3
done
target="trtype=tcp traddr=127.0.0.1 trsvcid=$nvmet_port subnqn=$nqn-nvmet hostnqn=$host_nqn"
head -c 3M /dev/urandom > "$SCRATCH/image"
timeout 30 "$FLEXBLK" write "$target" --tls-key "$key" < "$SCRATCH/image" || fail "write to Linux' target"
timeout 30 "$FLEXBLK" read "$target" --tls-key "$key" --count 3MiB | cmp - "$SCRATCH/image" || fail "read from Linux' target"
! timeout 30 "$FLEXBLK" read "$target" --tls-key "$long" --count 4096 > /dev/null 2> "$SCRATCH/why" || fail "a wrong key is good enough"
{ printf DONE && head -c 4092 /dev/zero; } | timeout 30 "$FLEXBLK" write "$target" --tls-key "$key"
wait $guest || fail "the guest"
helper_pids=()
