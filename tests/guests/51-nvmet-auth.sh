#!/usr/bin/env bash
# timeout: 180
# Linux's target demands authentication of this host, with and without a group: right secrets work in both directions, wrong
# ones do not.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44251
guest_forward=hostfwd=tcp:127.0.0.1:$port-:4420
host_secret=$("$FLEXBLK" gen-dhchap-key -m 0)
ctrl_secret=$("$FLEXBLK" gen-dhchap-key -m 3 -n $host_nqn)
wrong=$("$FLEXBLK" gen-dhchap-key)

guest nvmet 150 < <(
    printf 'host_secret=%s\nctrl_secret=%s\n' "$host_secret" "$ctrl_secret"
    cat <<'EOS'
cd /sys/kernel/config/nvmet
mkdir subsystems/$nqn subsystems/$nqn/namespaces/1
echo 0 > subsystems/$nqn/attr_allow_any_host
echo /dev/ram0 > subsystems/$nqn/namespaces/1/device_path
echo 1 > subsystems/$nqn/namespaces/1/enable
for choice in sha256:null sha384:ffdhe2048 sha512:ffdhe4096; do
    host=hosts/nqn.2026-11.io.flexblk:${choice#*:}
    mkdir $host
    echo "$host_secret" > $host/dhchap_key
    echo "$ctrl_secret" > $host/dhchap_ctrl_key
    echo "hmac(${choice%:*})" > $host/dhchap_hash
    echo "${choice#*:}" > $host/dhchap_dhgroup
    ln -s /sys/kernel/config/nvmet/$host subsystems/$nqn/allowed_hosts/
done
mkdir ports/1
echo tcp > ports/1/addr_trtype
echo ipv4 > ports/1/addr_adrfam
echo 10.0.2.15 > ports/1/addr_traddr
echo 4420 > ports/1/addr_trsvcid
ln -s /sys/kernel/config/nvmet/subsystems/$nqn ports/1/subsystems/
echo TARGET-READY
# The host writes this word when it is done.
is_done() { [ "$(dd if=/dev/ram0 bs=4k count=1 iflag=direct 2> /dev/null | head -c 4)" = DONE ]; }
await 90 is_done
EOS
) &
guest=$!
helper_pids=($guest)
until grep -aq TARGET-READY "$SCRATCH/nvmet.log" 2> /dev/null; do
    kill -0 $guest 2> /dev/null || fail "the guest ended: $(tail -20 "$SCRATCH/nvmet.log")"
    sleep 0.3
done

spec() { echo "trtype=tcp traddr=127.0.0.1 trsvcid=$port subnqn=$nqn hostnqn=nqn.2026-11.io.flexblk:$1"; }
# refused WORDS GROUP ARGS…: Linux may end the connection before its answer is out (once, on a busy machine): then again.
refused() {
    local words=$1 group=$2
    shift 2
    for _ in 1 2 3; do
        ! timeout 20 "$FLEXBLK" read --count 4096 "$(spec $group)" "$@" > /dev/null 2> "$SCRATCH/why" || fail "$group: not refused: $words"
        grep -q 'connection to .* lost' "$SCRATCH/why" || break
    done
    grep -q "$words" "$SCRATCH/why" || fail "$group: not '$words' but: $(cat "$SCRATCH/why")"
}
head -c 1M /dev/urandom > "$SCRATCH/image"
for group in null ffdhe2048 ffdhe4096; do
    timeout 30 "$FLEXBLK" write "$(spec $group)" -S "$host_secret" < "$SCRATCH/image" || fail "$group: one direction"
    timeout 30 "$FLEXBLK" read "$(spec $group)" -S "$host_secret" -C "$ctrl_secret" --count 1MiB | cmp - "$SCRATCH/image" ||
        fail "$group: both directions"
    refused 'demands authentication' $group
    refused 'refuses this host' $group -S "$wrong"
    refused 'could not prove' $group -S "$host_secret" -C "$wrong"
done
{ printf DONE && head -c 4092 /dev/zero; } | timeout 30 "$FLEXBLK" write "$(spec null)" -S "$host_secret"
wait $guest || fail "the guest"
helper_pids=()
