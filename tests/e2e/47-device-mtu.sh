#!/usr/bin/env bash
# Addresses that are not of the loopback device, at device MTUs that users have, over UDP and shared memory: what is
# written comes back, also where a block just fits beside its command, or just does not.
if [ -z "${FLEXBLK_OWN_NETWORK:-}" ]; then
    exec env FLEXBLK_OWN_NETWORK=1 unshare --net bash "$0" "$@"
fi
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nqn=nqn.2026-11.io.flexblk:mtu
ip link set lo up
ip link add wire0 type bridge
ip addr add 10.91.0.1/24 dev wire0
ip addr add fd00:91::1/64 dev wire0 nodad
head -c 128K /dev/urandom > "$SCRATCH/image"
for mtu in 1500 4200 9000; do
    # The kernel carries what goes to an own address by the loopback device.
    ip link set lo mtu $mtu
    ip link set wire0 mtu $mtu up
    for addr in 10.91.0.1 fd00:91::1 127.0.47.1; do
        serve -t rdma,tcp -a $addr -n $nqn mem:16MiB
        for way in 'rdma link=udp' 'rdma link=shm' tcp; do
            spec="trtype=${way%% *} traddr=$addr subnqn=$nqn${way#"${way%% *}"}"
            for octets in 4096 131072; do
                head -c $octets "$SCRATCH/image" | timeout 20 "$FLEXBLK" write "$spec" || fail "MTU $mtu, $addr, $way: write of $octets"
                timeout 20 "$FLEXBLK" read "$spec" --count $octets | cmp -n $octets - "$SCRATCH/image" || fail "MTU $mtu, $addr, $way: read of $octets"
            done
        done
        stop_server
    done
done
