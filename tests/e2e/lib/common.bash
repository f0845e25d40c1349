# Source this first: source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"
# Whatever `serve` started is ended when the script ends, well or not.
set -euo pipefail

server_pid=
# More processes to end with the script.
helper_pids=()

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# serve ARGS…: starts `flexblk serve ARGS…` and returns when it listens. Log: $SCRATCH/serve.log
serve() {
    : > "$SCRATCH/serve.log"
    "$FLEXBLK" serve "$@" >> "$SCRATCH/serve.log" 2>&1 &
    server_pid=$!
    local tries=0
    until grep -q '^listening' "$SCRATCH/serve.log"; do
        kill -0 "$server_pid" 2>/dev/null || fail "flexblk serve ended: $(cat "$SCRATCH/serve.log")"
        tries=$((tries + 1))
        [ "$tries" -lt 400 ] || fail "no 'listening' within 20 s: $(cat "$SCRATCH/serve.log")"
        sleep 0.05
    done
}

# told NAME: what the server last said of its hosts (connections, controllers, accepted, ended); it does so when
# started with FLEXBLK_LOG=info in its environment.
told() { sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/serve.log" | sed -n "s/.*hosts.* $1=\([0-9]*\).*/\1/p" | tail -1; }

# The server's memory that is resident.
resident_kib() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$server_pid/status"; }

# stop_server [SIGNAL]: ends it and waits. TERM (the default) must end it with status 0.
stop_server() {
    local signal=${1:-TERM} status=0
    kill "-$signal" "$server_pid"
    wait "$server_pid" 2>/dev/null || status=$?
    server_pid=
    [ "$signal" != TERM ] || [ "$status" = 0 ] || fail "flexblk serve ended with status $status on TERM"
}

on_exit() {
    local status=$?
    [ ${#helper_pids[@]} = 0 ] || kill -KILL "${helper_pids[@]}" 2>/dev/null || true
    if [ -n "$server_pid" ]; then
        kill -KILL "$server_pid" 2>/dev/null || true
        [ "$status" = 0 ] || sed 's/^/serve: /' "$SCRATCH/serve.log" >&2
    fi
    exit "$status"
}
trap on_exit EXIT
