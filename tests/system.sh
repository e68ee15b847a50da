#!/usr/bin/env bash
# Find Chromium and OpenMP, or install them where that is allowed, or say what to install.
set -euo pipefail
missing=()
command -v chromium > /dev/null || missing+=(chromium fonts-dejavu-core fonts-noto-color-emoji)
ldconfig -p 2> /dev/null | grep -q libgomp.so.1 || missing+=(libgomp1)
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get > /dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "The tests need: ${missing[*]}. On Debian and Ubuntu: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
apt-get -o DPkg::Lock::Timeout=300 update -qq
DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
