#!/usr/bin/env bash
# Installs the peer programs that reference tests and benchmarks compare with, from Debian or Ubuntu:
# csg_fmatch of VOTCA (force matching with splines). Does nothing where it is there already.
set -euo pipefail

if command -v csg_fmatch >/dev/null; then
    echo "csg_fmatch is installed"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "csg_fmatch is missing and there is no apt-get: install VOTCA (csg_fmatch) by hand" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "csg_fmatch is missing and installing it needs root: run sudo scripts/install_engines.sh" >&2
    exit 1
fi

echo "Installing votca (csg_fmatch)"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install --yes --no-install-recommends votca </dev/null
command -v csg_fmatch >/dev/null || { echo "votca is installed, but csg_fmatch is not on the path" >&2; exit 1; }
