#!/usr/bin/env bash
# `flexblk bench` over whole frames (link=raw) beside UDP sockets (link=udp): alternated runs between two network namespaces
# with a veth pair of MTU 4300, server on CPU 0, client on CPU 1, 256 MiB in RAM, both sides spin. Native mode, and RoCEv2,
# whose ICRCs only the raw link verifies. Prints medians, spread and the ratio. Needs root.
# Usage: bench/scripts/raw-vs-udp.sh [ROUNDS] [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
rounds=${1:-5} seconds=${2:-1}
nqn=nqn.2026-11.io.flexblk:bench
here=flexblk-bench-$$-a there=flexblk-bench-$$-b
program=${FLEXBLK:-out/release/flexblk}
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; ip netns del $here; ip netns del $there; rm -rf "$dir"' EXIT
ip netns add $here
ip netns add $there
ip -n $here link add v type veth peer name v netns $there
ip -n $here addr add 10.88.0.1/24 dev v
ip -n $there addr add 10.88.0.2/24 dev v
for host in $here $there; do ip -n $host link set v mtu 4300 up; ip -n $host link set lo up; done
until ip -n $here link show v | grep -q 'state UP' && ip -n $there link show v | grep -q 'state UP'; do sleep 0.1; done

run() { # link mode rw bs depth -> IOPS p50-of-latency-in-us
	ip netns exec $there taskset -c 0 "$program" serve -t rdma -a 10.88.0.2 --link "$1" --poll busy -n $nqn 'mem:256MiB?random=1' \
		> "$dir/serve" 2>&1 &
	local server=$!
	for _ in $(seq 100); do grep -q '^listening' "$dir/serve" && break; sleep 0.1; done
	ip netns exec $here taskset -c 1 "$program" bench \
		"trtype=rdma traddr=10.88.0.2 trsvcid=4420 subnqn=$nqn ns=1 link=$1 mode=$2" --poll busy --rw "$3" --bs "$4" \
		--iodepth "$5" --time "$seconds" --ramp 0.3 -o json > "$dir/json" || { cat "$dir/serve" >&2; exit 1; }
	kill $server
	wait $server || true
	python3 -c 'import json,sys; j=json.load(open(sys.argv[1])); print(int(j["iops"]), round(j["lat_us"]["p50"], 1))' "$dir/json"
}
# median, least and most of the first column; median of the second
stat() { python3 -c 'import sys; r=[l.split() for l in sys.stdin]; a=sorted(int(x[0]) for x in r); b=sorted(float(x[1]) for x in r); print(a[len(a)//2], a[0], a[-1], b[len(b)//2])'; }

printf '%-26s %28s %7s %28s %7s %6s\n' workload 'raw IOPS (least..most)' 'p50 us' 'UDP IOPS (least..most)' 'p50 us' ratio
for mode in native roce; do
	for job in "randread 4k 32" "randwrite 4k 32" "randread 4k 1" "read 128k 8"; do
		: > "$dir/a"; : > "$dir/b"
		for _ in $(seq "$rounds"); do run raw $mode $job >> "$dir/a"; run udp $mode $job >> "$dir/b"; done
		awk -v j="$mode $job" -v a="$(stat < "$dir/a")" -v b="$(stat < "$dir/b")" 'BEGIN {split(a,x," "); split(b,y," ");
			printf "%-26s %10d (%7d..%7d) %7.1f %10d (%7d..%7d) %7.1f %6.2f\n", j, x[1],x[2],x[3],x[4], y[1],y[2],y[3],y[4], x[1]/y[1]}'
	done
done
