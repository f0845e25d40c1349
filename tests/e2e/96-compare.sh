#!/usr/bin/env bash
# timeout: 180
# alone: it measures
# `flexblk compare` over a few short samples: both stacks run, the table, the report and the JSON have what they
# promise, an older run is read back, misuse is told before anything is measured, a dead process ends the run with its
# reason, and a killed run takes its processes with it.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

few=(--only "block-server,randread-4k-x1" --stacks "flexins,flexins-piped,microkernel,microkernel-compacting")
html="$SCRATCH/report.html"
json="$SCRATCH/run.json"
"$FLEXBLK" compare "${few[@]}" --rounds 1 --time 0.2 --html "$html" -o json > "$json" || fail "compare"
for word in '"block-server"' '"randread-4k-x1"' '"flexins"' '"microkernel-compacting"' '"equal_total_cores"' \
    '"per_host_core"' '"latency_percentiles"' '"exchange_4k_depth_32_per_s"'; do
    grep -q "$word" "$json" || fail "no $word in the JSON"
done
[ "$(grep -c '"baseline": "microkernel' "$json")" = 4 ] || fail "two scenarios have two ratios each"
grep -q '<svg' "$html" || fail "no plot in the report"
grep -Eq '(src|href)="?https?:' "$html" && fail "the report needs the network"

# The same again, beside the older run: the sizes of differences are the machine's, so either outcome is right, but
# it must be one of them.
status=0
"$FLEXBLK" compare --only randread-4k-x1 --stacks flexins,microkernel --rounds 1 --time 0.2 --against "$json" \
    > "$SCRATCH/table" 2> "$SCRATCH/err" || status=$?
[ $status = 0 ] || grep -q 'slower than before' "$SCRATCH/err" || fail "against: $(cat "$SCRATCH/err")"
grep -q 'equal total cores' "$SCRATCH/table" || fail "no ratio in the table"

# Work per I/O: counted where valgrind is, and said why not where it is not.
"$FLEXBLK" compare --only block-server --stacks flexins-app-crc --rounds 1 --time 0.2 --work -o json \
    > "$SCRATCH/work.json" 2> "$SCRATCH/err" || fail "work: $(cat "$SCRATCH/err")"
if command -v valgrind > /dev/null; then word='"instructions":'; else word='Work per I/O is not counted'; fi
grep -q "$word" "$SCRATCH/work.json" || fail "no $word: $(cat "$SCRATCH/err")"

refused() { # WORD ARGUMENTS…: exits with 1 or 2, says WORD, and does not take long.
    local word=$1 status=0 begin=$SECONDS
    shift
    "$FLEXBLK" compare "$@" > /dev/null 2> "$SCRATCH/err" || status=$?
    [ $status = 1 ] || [ $status = 2 ] || fail "$*: status $status"
    grep -q -- "$word" "$SCRATCH/err" || fail "$*: $(cat "$SCRATCH/err")"
    [ $((SECONDS - begin)) -le 3 ] || fail "$*: refused after $((SECONDS - begin)) s"
}
refused 'there are block-server' --only nonsense
refused 'has a stack' --stacks nonsense
refused 'two different' --cpus 1,1
refused 'No such file' --html "$SCRATCH/none/report.html"
refused 'No such file' --against "$SCRATCH/none.json"
echo '{"format": 99}' > "$SCRATCH/future.json"
refused '99' --against "$SCRATCH/future.json"

# An engine dies.
"$FLEXBLK" compare --only block-server --stacks microkernel --rounds 1 --time 20 > /dev/null 2> "$SCRATCH/err" &
run=$!
helper_pids+=($run)
for _ in $(seq 300); do
    engine=$(pgrep -P "$(pgrep -P $run -f 'compare-child client' || echo 0)" -f compare-engine || true)
    [ -n "$engine" ] && break
    sleep 0.1
done
[ -n "$engine" ] || fail "no engine to kill: $(cat "$SCRATCH/err")"
kill -KILL "$engine"
status=0
wait $run || status=$?
[ $status = 1 ] || fail "status $status after an engine died"
grep -q 'ended' "$SCRATCH/err" || fail "no reason: $(cat "$SCRATCH/err")"
sleep 0.5
pgrep -P $run > /dev/null && fail "processes were left behind"

# The comparison itself is killed, and cannot clean up: its processes and their engines end with it, long before they
# would by themselves.
"$FLEXBLK" compare --only block-server --stacks microkernel --rounds 1 --time 20 > /dev/null 2> "$SCRATCH/err" &
run=$!
helper_pids+=($run)
for _ in $(seq 300); do
    applications=$(pgrep -d, -P $run || echo 0)
    engines=$(pgrep -d, -P "$applications" -f compare-engine || echo 0)
    [[ "$applications" = *,* && "$engines" = *,* ]] && break
    sleep 0.1
done
[[ "$engines" = *,* ]] || fail "no two engines: $(cat "$SCRATCH/err")"
helper_pids+=(${applications//,/ } ${engines//,/ })
kill -KILL $run
wait $run 2> /dev/null || true
for _ in $(seq 30); do
    left=$(ps -o pid=,args= -p "$applications,$engines" || true)
    [ -z "$left" ] && exit 0
    sleep 0.1
done
fail "outlive the comparison: $left"
