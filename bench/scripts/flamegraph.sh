#!/usr/bin/env bash
# Flame graph of all processes while SCENARIO of `flexblk compare` runs over STACK: CPU samples of every
# processor, user space and kernel, from the middle of one long sample. Prints shares of what is named in
# flamegraph.py. Needs perf (Debian: linux-perf), llvm-symbolizer (llvm) and python3, and the right to
# sample the kernel. Usage: bench/scripts/flamegraph.sh SCENARIO STACK OUT.svg
set -eu
[ $# = 3 ] || { sed -n 's/.*Usage: /usage: /p' "$0" | head -n 1 >&2; exit 2; }
scenario=$1 stack=$2 out=$(realpath "$3")
cd "$(dirname "$0")/../.."
# A build of its own: frame pointers give user stacks, fixed addresses need no map of the process.
frames=out/frames
# Named, so that the flags are not for what runs while it is built.
host=$(rustc -vV | sed -n 's/^host: //p')
CARGO_TARGET_DIR=$frames RUSTFLAGS='-Cforce-frame-pointers=yes -Crelocation-model=static' \
	cargo build -q --release -p flexblk --target "$host"
program=$frames/$host/release/flexblk
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$dir"' EXIT

"$program" compare --only "$scenario" --stacks "$stack" --rounds 1 --time 9 > "$dir/table" 2> "$dir/err" &
run=$!
# The limits come first; then there is a client.
for _ in $(seq 300); do
	client=$(pgrep -P $run -f 'compare-child client' || true)
	[ -z "$client" ] || break
	kill -0 $run 2>/dev/null || { cat "$dir/err" >&2; exit 1; }
	sleep 0.1
done
[ -n "$client" ] || { echo "no client came" >&2; exit 1; }
sleep 1.5
server=$(pgrep -P $run -f 'compare-child server')
{
	echo "$server server"
	echo "$client client"
	pgrep -P "$server" | sed "s/\$/ server's engine/"
	pgrep -P "$client" | sed "s/\$/ client's engine/"
} > "$dir/roles"
perf record -q -F 1999 -g -a -o "$dir/data" -- sleep 5 > "$dir/perf" 2>&1 || { cat "$dir/perf" >&2; exit 1; }
perf script -i "$dir/data" --no-inline -F pid,tid,cpu,comm,ip,sym,dso > "$dir/samples" 2> "$dir/perf"
wait $run || { cat "$dir/err" >&2; exit 1; }
cat "$dir/table"
command="flexblk compare --only $scenario --stacks $stack --rounds 1 --time 9"
python3 bench/scripts/flamegraph.py "$dir/samples" "$dir/roles" "$program" "$out" \
	"$scenario over $stack" "$command; perf record -F 1999 -g -a"
