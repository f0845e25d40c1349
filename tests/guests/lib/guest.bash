# Source this first: source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"
# On top of the end-to-end scripts' helpers: runs a script in a Debian guest whose kernel is the NVMe-oF host. The guest
# reaches servers on this machine's loopback as 10.0.2.2. Emulation is for correctness, never for speed.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"
source "$FLEXBLK_ROOT/tests/guests/lib/machine.bash"

# The target listens at 127.0.0.1, which guests see as $host_addr, on a port that no other script uses.
nqn=nqn.2026-11.io.flexblk:guest
host_addr=10.0.2.2
port=
# Ports of the guest that are reached on this machine: hostfwd=tcp:127.0.0.1:PORT-:PORT
guest_forward=
# How a guest is on the network: behind QEMU's own, or as lib/bridge.bash says.
guest_nic=user
guest_addr=10.0.2.15/24
guest_mac=52:54:00:90:00:10
guest_mtu=1500
# A host NQN and the id that belongs to it.
host_id=4a1c2f0e-5b7d-4c1e-9f00-6d5a3b2c1d0e
host_nqn=nqn.2014-08.org.nvmexpress:uuid:$host_id

# A guest in the background must not outlive its script: it holds ports of this machine.
end_guests() {
    for file in "$SCRATCH"/*.qemu; do
        [ -e "$file" ] || continue
        kill -KILL "$(cat "$file")" 2> /dev/null || true
    done
}
# on_exit looks at the status with which the script ends.
trap 'ends_with=$?; end_guests; set +e; (exit $ends_with); on_exit' EXIT

# What both sides of a script may use; put in front of every guest's script.
guest_prelude() {
    cat <<PRELUDE
ip link set eth0 address $guest_mac mtu $guest_mtu
ip link set eth0 up
ip addr add $guest_addr dev eth0
nqn=$nqn
host_addr=$host_addr
port=$port
host_id=$host_id
host_nqn=$host_nqn
PRELUDE
    cat "$FLEXBLK_ROOT/tests/guests/lib/prelude.sh"
}

# guest NAME SECONDS: runs the script on standard input in a guest; fails unless it ends with status 0 in time. What it
# printed is in $SCRATCH/NAME.log.
guest() {
    local name=$1 seconds=$2 log=$SCRATCH/$1.log status=0
    { guest_prelude && cat; } > "$SCRATCH/$name.disk"
    [ "$(stat -c %s "$SCRATCH/$name.disk")" -lt $test_disk_bytes ] || fail "guest $name: its script is too long"
    truncate -s $test_disk_bytes "$SCRATCH/$name.disk"
    # Emulation takes what is left: a server that it starves answers late, which guests count as losses.
    timeout --kill-after=5 "$seconds" nice -n 10 bash -c 'source "$1"; shift; machine "$@"' machine \
        "$FLEXBLK_ROOT/tests/guests/lib/machine.bash" "$FLEXBLK_GUESTS" "$SCRATCH/$name.disk" "$log" \
        "$guest_nic${guest_forward:+,$guest_forward}" -pidfile "$SCRATCH/$name.qemu" \
        -incoming "exec:cat '$FLEXBLK_GUESTS/state'" < /dev/null > "$SCRATCH/$name.said" 2>&1 || status=$?
    [ $status = 0 ] || fail "guest $name: not done within $seconds s or QEMU failed ($status): $(cat "$SCRATCH/$name.said") $(tail -30 "$log")"
    grep -q '^GUEST-END 0 ' "$log" || fail "guest $name: $(sed -n '/GUEST-BEGIN/,$p' "$log" | tail -60)"
}

# successor NAME PID SIGNAL ARGS…: ends a target when guest NAME says END-SIGNAL on its console; two seconds after it is gone, with
# its sockets, is the next one, `flexblk serve ARGS…`. Run it in the background.
successor() {
    local name=$1 pid=$2 signal=$3
    shift 3
    until grep -q "^END-$signal" "$SCRATCH/$name.log" 2> /dev/null; do sleep 0.2; done
    kill "-$signal" "$pid"
    while [ -e "/proc/$pid/exe" ]; do sleep 0.1; done
    sleep 2
    exec "$FLEXBLK" serve "$@" >> "$SCRATCH/serve.log" 2>&1
}
