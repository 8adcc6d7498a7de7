#!/usr/bin/env bash
# install-deps.sh GROUP...: what the Makefile needs beyond Go, git and make.
#
#   race     a C compiler, for go test -race
#   interop  g++ and libudt-dev, for the tests against the C++ library
#   bench    the same and iperf3, for the comparison on loopback
#
# Installs through apt-get as root on Debian and its kin. Elsewhere it changes
# nothing, says what is missing and how to get it, and ends with status 3.
# UDTCP_NO_INSTALL=1 keeps it from installing anywhere.
set -euo pipefail

have_udt() {
    local compiler
    compiler=$(command -v "${CXX:-g++}") || return 1
    printf '#include <udt/udt.h>\nint main() { return UDT::startup(); }\n' |
        "$compiler" -x c++ - -o /dev/null -ludt -pthread 2>/dev/null
}

packages=()
for group in "$@"; do
    case $group in
    race) command -v "${CC:-gcc}" >/dev/null || packages+=(gcc libc6-dev) ;;
    interop) have_udt || packages+=(g++ make libudt-dev) ;;
    bench)
        have_udt || packages+=(g++ make libudt-dev)
        command -v iperf3 >/dev/null || packages+=(iperf3)
        ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
done
[ ${#packages[@]} -gt 0 ] || exit 0
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)

if [ -n "${UDTCP_NO_INSTALL:-}" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing: ${packages[*]}" >&2
    echo "  on Debian: sudo apt-get install ${packages[*]}" >&2
    exit 3
fi

export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=180)
echo "installing ${packages[*]}" >&2
install() { "${apt[@]}" install --no-install-recommends "${packages[@]}" </dev/null >&2; }
# The lists on the machine may be missing or old: then once more with new ones.
install || { "${apt[@]}" update </dev/null >&2 && install; } || {
    echo "could not install ${packages[*]}" >&2
    exit 3
}
