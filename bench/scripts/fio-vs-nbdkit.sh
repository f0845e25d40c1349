#!/usr/bin/env bash
# fio through our plug-in beside fio's nbd engine on nbdkit's memory plug-in over TCP: alternated
# runs on one machine, server on CPU 0, client on CPU 1, 512 MiB in RAM. Prints medians, the spread
# and the ratio for each workload. Usage: bench/scripts/fio-vs-nbdkit.sh [ROUNDS] [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
rounds=${1:-3} seconds=${2:-3}
nqn=nqn.2026-11.io.flexblk:bench
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$dir"' EXIT
taskset -c 0 out/release/flexblk serve -n $nqn 'mem:512MiB?random=1' > "$dir/serve" 2>&1 &
taskset -c 0 nbdkit -f -i 127.0.0.1 -p 10809 memory 512M > "$dir/nbdkit" 2>&1 &
for _ in $(seq 100); do grep -q '^listening' "$dir/serve" && break; sleep 0.1; done
grep '^listening' "$dir/serve" > "$dir/ready" || { cat "$dir/serve" >&2; exit 1; }
flexblk="--ioengine=external:out/release/libflexblk_fio.so --thread=1 --traddr=127.0.0.1 --hostaddr=127.0.0.2 --trsvcid=4420 --subnqn=$nqn --nsid=1 --link=udp"
nbd="--ioengine=nbd --uri=nbd://127.0.0.1"
# fill: both sides hold random data
taskset -c 1 fio --name=fill $nbd --rw=write --bs=1m --size=512m --iodepth=4 > "$dir/fill"

run() { # engine-options rw bs depth -> IOPS
	taskset -c 1 fio --name=a $1 --rw="$2" --bs="$3" --iodepth="$4" --size=512m --norandommap --randrepeat=0 \
		--time_based --runtime="$seconds" --ramp_time=0.5 --output-format=json 2>> "$dir/err" |
		python3 -c 'import json,sys; t=sys.stdin.read(); j=json.loads(t[t.index("{"):])["jobs"][0]; assert j["error"]==0; print(int(j["read"]["iops"]+j["write"]["iops"]))'
}
stat() { sort -n | awk '{v[NR]=$1} END {printf "%d %d %d", v[int((NR+1)/2)], v[1], v[NR]}'; }

printf '%-24s %26s %26s %7s\n' workload 'flexblk IOPS (min..max)' 'nbdkit IOPS (min..max)' ratio
for job in "randread 4k 32" "randwrite 4k 32" "randread 4k 1" "read 128k 8" "write 128k 8"; do
	set -- $job
	: > "$dir/a"; : > "$dir/b"
	for _ in $(seq "$rounds"); do run "$flexblk" "$@" >> "$dir/a"; run "$nbd" "$@" >> "$dir/b"; done
	a=$(stat < "$dir/a") b=$(stat < "$dir/b")
	awk -v j="$1 $2 x$3" -v a="$a" -v b="$b" 'BEGIN {split(a,x," "); split(b,y," ");
		printf "%-24s %8d (%7d..%7d) %8d (%7d..%7d) %7.2f\n", j, x[1],x[2],x[3], y[1],y[2],y[3], x[1]/y[1]}'
done
