# Source this first: source "$FLEXBLK_ROOT/tests/guests/lib/bridge.bash"
# On top of guest.bash: the script starts anew in a network namespace of its own, where guests are on tap devices of a bridge
# ($mtu: octets of a packet). Nothing translates addresses, and packets may be long.
if [ -z "${FLEXBLK_OWN_NETWORK:-}" ]; then
    exec env FLEXBLK_OWN_NETWORK=1 unshare --net bash "$0" "$@"
fi
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

# This machine on the bridge; guests are 10.90.0.11 and up.
host_addr=10.90.0.1
port=4420
guest_mtu=$mtu

ip link set lo up
ip link add guests0 type bridge
ip link set guests0 mtu "$mtu" up
ip addr add $host_addr/24 dev guests0

# guest_on N: the next guest is number N.
guest_on() {
    ip link show "tap$1" > /dev/null 2>&1 || {
        ip tuntap add "tap$1" mode tap
        ip link set "tap$1" mtu "$mtu" master guests0 up
        ip link set guests0 mtu "$mtu"
    }
    guest_nic=tap,ifname=tap$1,script=no,downscript=no
    guest_mac=52:54:00:90:00:1$1
    guest_addr=10.90.0.1$1/24
}
guest_on 1
