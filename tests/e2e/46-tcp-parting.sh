#!/usr/bin/env bash
# A target that stops while hosts have connections over NVMe/TCP ends these in order: a host that still writes is not reset,
# and the target goes when the host has closed, or after two seconds.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:parting
truncate -s 16M "$SCRATCH/image"
zeros() { head -c "$1" /dev/zero; }
# field OCTETS TEXT: padded with zeros.
field() { printf '%s' "$2" && zeros $(($1 - ${#2})); }
icreq() { printf '\0\0\x80\0\x80\0\0\0' && zeros 120; }
# A command capsule: header, Connect of an admin queue of 32 entries, and its data.
connect() {
    printf '\4\0\x48\x48\x48\4\0\0'
    printf '\x7f\x40\0\0\1' && zeros 27
    printf '\0\4\0\0\0\0\0\1' && printf '\0\0\0\0\x1f\0\0\0' && zeros 16
    field 16 0123456789abcdef && printf '\xff\xff' && zeros 238
    field 256 $nqn && field 256 nqn.2026-11.io.flexblk:host && zeros 256
}
# answered OCTETS TYPE: so many came, of a PDU of that type.
answered() {
    [ "$(head -c "$1" <&7 | head -c 1 | od -An -tx1)" = " $2" ] || fail "no PDU of type $2"
}
# connected PORT: descriptor 7 is the connection of a host's admin queue, whose target is to stop.
connected() {
    serve -t tcp -a 127.0.0.1 -s "$1" -n $nqn "file:$SCRATCH/image"
    exec 7<> "/dev/tcp/127.0.0.1/$1"
    icreq >&7
    answered 128 01
    connect >&7
    answered 24 05
    kill -TERM "$server_pid"
}
# gone TENTHS: the target ends well within that.
gone() {
    local tries=0 status=0
    while kill -0 "$server_pid" 2> /dev/null; do
        tries=$((tries + 1))
        [ $tries -le "$1" ] || fail "the target waits for nobody"
        sleep 0.1
    done
    wait "$server_pid" || status=$?
    server_pid=
    [ $status = 0 ] || fail "flexblk serve ended with status $status on TERM"
}

echo "== a host that writes after the end is not reset, and the target goes when the host has closed"
connected 44590
# Reads until the target's end of it.
[ -z "$(cat <&7)" ] || fail "more than the end was told"
for _ in 1 2 3; do
    zeros 4096 >&7 || fail "reset"
    sleep 0.1
done
kill -0 "$server_pid" || fail "the target is gone before its host"
exec 7<&-
gone 10

echo "== it does not wait for ever"
connected 44591
gone 50
exec 7<&-
