#!/usr/bin/env bash
# timeout: 30
# The plug-in is one that the installed fio can load: version, symbols, options, and errors that are seen.
source "$FLEXBLK_ROOT/tests/e2e/lib/common.bash"

nm -D --defined-only "$FLEXBLK_FIO" | grep -q ' T get_ioengine$' || fail "get_ioengine is not exported"
# fio unloads an engine while its structures are still in use.
readelf -d "$FLEXBLK_FIO" | grep -q NODELETE || fail "not linked with -z nodelete"

help=$(fio --enghelp="$FLEXBLK_FIO")
for option in trtype traddr trsvcid subnqn nsid hostaddr hostnqn mode link cc hdgst ddgst tls_key dhchap_secret dhchap_ctrl_secret concat poll \
    nr_io_queues; do
    grep -q "^$option" <<<"$help" || fail "option $option is unknown to fio: $help"
done

# Every job file of ours is one that this fio accepts, options of the engine included.
for job in configs/fio/*.fio; do
    sed "s|external:.*|external:$FLEXBLK_FIO|" configs/fio/target.inc > "$SCRATCH/target.inc"
    cp "$job" "$SCRATCH/"
    fio --parse-only "$SCRATCH/$(basename "$job")" || fail "$job does not parse"
done

# A job that cannot run must fail, with a reason: false success has been published before.
if fio --name=refused --ioengine="external:$FLEXBLK_FIO" --traddr=127.0.0.1 --rw=read \
    --io_submit_mode=offload > "$SCRATCH/refused.log" 2>&1; then
    fail "fio ended well although the engine refused"
fi
grep -q 'flexblk: refused: io_submit_mode=offload is not supported' "$SCRATCH/refused.log" ||
    fail "no reason given: $(cat "$SCRATCH/refused.log")"
