#!/usr/bin/env bash
# `flexblk bench` over NVMe/TCP on our target beside fio's nbd engine on nbdkit's memory plug-in: alternated runs on one
# machine over loopback, server on CPU 0, client on CPU 1, 512 MiB in RAM. Prints medians, spread and the ratio for each
# workload, then what digests cost, and the bare exchange of blocks over TCP, measured in the same rounds: what reads at
# depth 1 and of 128 KiB are to be compared with. Both sides of ours spin and both of nbdkit's sleep, as users find them:
# the ratio is of two products, not of two protocols. Our server is stopped while others run: it would spin on their processor.
# Usage: bench/scripts/tcp-vs-nbdkit.sh [ROUNDS] [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
rounds=${1:-3} seconds=${2:-3}
nqn=nqn.2026-11.io.flexblk:bench
addr=127.0.0.1
dir=$(mktemp -d)
server=
trap 'kill $(jobs -p) 2>/dev/null || true; kill -CONT $server 2>/dev/null || true; rm -rf "$dir"' EXIT
taskset -c 0 out/release/flexblk serve -t tcp -a $addr --poll busy -n $nqn 'mem:512MiB?random=1' > "$dir/serve" 2>&1 &
server=$!
taskset -c 0 nbdkit -f -i $addr -p 10809 memory 512M > "$dir/nbdkit" 2>&1 &
for _ in $(seq 100); do grep -q '^listening' "$dir/serve" && break; sleep 0.1; done
grep '^listening' "$dir/serve" > "$dir/ready" || { cat "$dir/serve" >&2; exit 1; }

ours() { # digests rw bs depth -> IOPS p50-of-latency-in-us
	taskset -c 1 out/release/flexblk bench "trtype=tcp traddr=$addr trsvcid=4420 subnqn=$nqn ns=1 $1" --poll busy --rw "$2" \
		--bs "$3" --iodepth "$4" --time "$seconds" --ramp 0.5 -o json |
		python3 -c 'import json,sys; j=json.load(sys.stdin); print(int(j["iops"]), round(j["lat_us"]["p50"], 1))'
}
alone() { # COMMAND… while our server stands still
	kill -STOP $server
	"$@"
	kill -CONT $server
}
theirs() { # rw bs depth -> the same of nbdkit
	taskset -c 1 fio --name=a --ioengine=nbd --uri=nbd://$addr --rw="$1" --bs="$2" --iodepth="$3" --size=512m --norandommap \
		--randrepeat=0 --time_based --runtime="$seconds" --ramp_time=0.5 --output-format=json 2>> "$dir/err" |
		python3 -c 'import json,sys; t=sys.stdin.read(); j=json.loads(t[t.index("{"):])["jobs"][0]; assert j["error"]==0; d=j["read" if j["read"]["iops"] else "write"]; print(int(d["iops"]), round(d["clat_ns"]["percentile"]["50.000000"]/1000, 1))'
}
bare() { # which -> the same of the bare exchange
	out/release/flexblk limits --time "$((seconds * 4))" -o json |
		python3 -c 'import json,sys; j=json.load(sys.stdin)[sys.argv[1]]; print(int(j["per_s"]), round(j["p50_us"], 1))' "$1"
}
# median, least and most of the first column; median of the second
stat() { python3 -c 'import sys; r=[l.split() for l in sys.stdin]; a=sorted(int(x[0]) for x in r); b=sorted(float(x[1]) for x in r); print(a[len(a)//2], a[0], a[-1], b[len(b)//2])'; }

# fill: both sides hold random data
alone taskset -c 1 fio --name=fill --ioengine=nbd --uri=nbd://$addr --rw=write --bs=1m --size=512m --iodepth=4 > "$dir/fill"

printf '%-24s %28s %7s %28s %7s %6s\n' workload 'FlexBlk IOPS (least..most)' 'p50 us' 'nbdkit IOPS (least..most)' 'p50 us' ratio
for job in "randread 4k 32" "randwrite 4k 32" "randread 4k 1" "read 128k 8" "write 128k 8"; do
	set -- $job
	: > "$dir/a"; : > "$dir/b"
	for _ in $(seq "$rounds"); do
		ours '' "$@" >> "$dir/a"
		alone theirs "$@" >> "$dir/b"
		case "$1 $3" in
		"randread 1") alone bare tcp_4k_depth_1 >> "$dir/bare-4k-x1" ;;
		"read 8") alone bare tcp_128k_depth_8 >> "$dir/bare-128k-x8" ;;
		esac
	done
	awk -v j="$1 $2 x$3" -v a="$(stat < "$dir/a")" -v b="$(stat < "$dir/b")" 'BEGIN {split(a,x," "); split(b,y," ");
		printf "%-24s %10d (%7d..%7d) %7.1f %10d (%7d..%7d) %7.1f %6.2f\n", j, x[1],x[2],x[3],x[4], y[1],y[2],y[3],y[4], x[1]/y[1]}'
done
for job in "randread 4k 32" "read 128k 8" "write 128k 8"; do
	set -- $job
	: > "$dir/a"; : > "$dir/b"
	for _ in $(seq "$rounds"); do ours 'hdgst=on ddgst=on' "$@" >> "$dir/a"; ours '' "$@" >> "$dir/b"; done
	awk -v j="$1 $2 x$3, digests" -v a="$(stat < "$dir/a")" -v b="$(stat < "$dir/b")" 'BEGIN {split(a,x," "); split(b,y," ");
		printf "%-24s %10d (%7d..%7d) %7.1f   of those without %5.2f\n", j, x[1],x[2],x[3],x[4], x[1]/y[1]}'
done
for block in 4k-x1 128k-x8; do
	awk -v j="bare exchange ${block/-/ }" -v a="$(stat < "$dir/bare-$block")" 'BEGIN {split(a,x," ");
		printf "%-24s %10d (%7d..%7d) %7.1f\n", j, x[1],x[2],x[3],x[4]}'
done
