#!/usr/bin/env bash
# timeout: 180
# Every read-only verb of nvme-cli 2.3 against a target over NVMe/TCP: none ends with an error. (Not show-regs: it fails
# against Linux' own target, too.)
source "$FLEXBLK_ROOT/tests/guests/lib/guest.bash"

port=44220
serve -t tcp -a 127.0.0.1 -s $port -n $nqn mem:64MiB mem:32MiB

guest verbs 150 <<'EOF'
connect tcp -i 2
await 10 test -b /dev/nvme0n2
ctrl=/dev/nvme0 ns=/dev/nvme0n1
bad=
verb() {
    step "nvme $*"
    nvme "$@" || bad="$bad, nvme $*"
}
verb list
verb list -v
verb list-subsys
verb id-ctrl $ctrl
# Supported, offsets into capsules, transport data blocks; no keys over this fabric.
nvme id-ctrl $ctrl | grep -q '^sgls *: 0x300001' || bad="$bad, sgls"
verb id-ns $ns
verb ns-descs $ns
verb cmdset-ind-id-ns $ctrl -n 1
verb list-ns $ctrl
verb list-ns $ctrl --all
verb list-ctrl $ctrl
verb nvm-id-ctrl $ctrl
verb nvm-id-ns $ns
verb smart-log $ctrl
verb error-log $ctrl
verb fw-log $ctrl
# Without a command set, this version prints nothing.
verb effects-log $ctrl -c 0
nvme effects-log $ctrl -c 0 | grep -q '^IOCS25 *\[Copy' || bad="$bad, effects of Copy"
verb fid-support-effects-log $ctrl
verb supported-log-pages $ctrl
verb changed-ns-list-log $ctrl
verb ana-log $ctrl
verb get-property $ctrl --offset=0x0
verb get-property $ctrl --offset=0x8
verb get-property $ctrl --offset=0x14
verb get-property $ctrl --offset=0x1c
for feature in 0x02 0x04 0x05 0x06 0x07 0x0a 0x0b 0x0f 0x16; do
    for select in 0 1 2 3; do
        nvme get-feature $ctrl -f $feature -s $select > /tmp/feature 2>&1 || echo "feature $feature, select $select: $(cat /tmp/feature)"
    done
done
verb resv-report $ns -e -d 1
verb flush $ns
verb read $ns -s 0 -c 0 -z 4096 -d /tmp/block
verb verify $ns -s 0 -c 7
nvme disconnect -n $nqn
dmesg | grep -i nvme || true
[ -z "$bad" ] || fail "refused: $bad"
EOF
stop_server
