#!/usr/bin/env bash
# timeout: 240
# A stock Linux host that authenticates: with and without a group, in both directions, again while connected; wrong and
# missing secrets on either side are refused.
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44250
host_secret=$("$FLEXBLK" gen-dhchap-key -m 1 -n $host_nqn)
ctrl_secret=$("$FLEXBLK" gen-dhchap-key -m 0 -l 48)
{
    # hash group
    while read -r hash group; do
        printf '[[subsystem]]\nnqn = "%s-%s"\n[[subsystem.namespace]]\nuri = "mem:16MiB"\n' $nqn $group
        printf '[[subsystem.host]]\nnqn = "%s"\ndhchap_hash = "%s"\ndhchap_dhgroup = "%s"\n' $host_nqn $hash $group
        printf 'dhchap_secret = "%s"\ndhchap_ctrl_secret = "%s"\n' "$host_secret" "$ctrl_secret"
    done <<< 'sha256 null
sha384 ffdhe2048
sha512 ffdhe4096'
} > "$SCRATCH/serve.toml"
FLEXBLK_LOG=info serve --config "$SCRATCH/serve.toml" -t tcp -a 127.0.0.1 -s $port

guest auth 200 < <(
    printf 'host_secret=%s\nctrl_secret=%s\nwrong=%s\nall=%s\n' "$host_secret" "$ctrl_secret" "$("$FLEXBLK" gen-dhchap-key)" $nqn
    cat <<'EOS'
for group in null ffdhe2048 ffdhe4096; do
    nqn=$all-$group
    for direction in one both; do
        step "$group, $direction"
        if [ $direction = both ]; then
            connect tcp -i 2 -S "$host_secret" -C "$ctrl_secret"
        else
            connect tcp -i 2 -S "$host_secret"
        fi
        await 20 test -b /dev/nvme0n1
        dd if=/dev/urandom of=/tmp/pattern bs=64k count=8 2> /dev/null
        dd if=/tmp/pattern of=/dev/nvme0n1 bs=64k oflag=direct 2> /dev/null
        dd if=/dev/nvme0n1 of=/tmp/back bs=64k count=8 iflag=direct 2> /dev/null
        cmp /tmp/pattern /tmp/back
        if [ $direction = both ]; then
            step "$group, again while connected"
            before=$(dmesg | grep -c 'controller authenticated') || true
            echo "$host_secret" > /sys/class/nvme/nvme0/dhchap_secret
            again() { [ "$(dmesg | grep -c 'controller authenticated')" -gt "$before" ]; }
            await 20 again
            sleep 1
            dd if=/dev/nvme0n1 of=/tmp/back bs=64k count=8 iflag=direct 2> /dev/null
            cmp /tmp/pattern /tmp/back
        fi
        nvme disconnect -n $nqn
    done
done
! dmesg | grep -i 'nvme.*\(error\|fail\|timeout\)' || fail "see above"
for group in null ffdhe2048; do
    nqn=$all-$group
    step "$group, refused"
    ! connect tcp -i 1 2> /dev/null || fail "connected without a secret"
    ! connect tcp -i 1 -S "$wrong" 2> /dev/null || fail "connected with a wrong secret"
    ! connect tcp -i 1 -S "$host_secret" -C "$wrong" 2> /dev/null || fail "believed a controller that has another secret"
    [ ! -e /dev/nvme0 ] || fail "a controller is left"
    connect tcp -i 1 -S "$host_secret" -C "$ctrl_secret"
    nvme disconnect -n $nqn
done
EOS
)
stop_server
log=$(sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log")
failures=$(sed -n 's/.*"target.authentication_failures" count=//p' <<< "$log")
[ "$failures" -ge 4 ] || fail "$failures failures were counted: $log"
grep -q "host not authenticated.*$host_nqn" <<< "$log" || fail "no line tells of a refusal"
