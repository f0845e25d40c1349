#!/usr/bin/env bash
# kernel.sh FOLDER: makes FOLDER/kernel, a Debian 6.12 kernel and its modules, of Debian's packages: unpacked, not installed.
# What is there already stays.
set -euo pipefail
export LC_ALL=C

folder=$1
# Not the cloud flavour: it has no rdma_rxe. Linux 6.1 has no NVMe authentication.
kernels='^linux-image-6\.12\.[^-]*-amd64$'

newest() { apt-cache search --names-only "$kernels" | awk '{ print $1 }' | sort -V | tail -1; }
# The downloads of apt-get may not be readable by its own user there: a remark, no failure.
download() { [ -n "$(newest)" ] && (cd "$folder/package" && apt-get --quiet download "$(newest)"); }

[ ! -s "$folder/kernel/version" ] || exit 0
rm -rf "$folder/kernel" "$folder/package" && mkdir -p "$folder/package"
# The lists are refreshed only when what they say cannot be had.
download || { apt-get --quiet update && download; } || {
    echo "kernel.sh: no package named $kernels" >&2
    exit 1
}
name=$(newest)
dpkg -x "$folder/package/$name"_*.deb "$folder/package/tree"
echo "${name#linux-image-}" > "$folder/package/version"
mv "$folder/package" "$folder/kernel"
