#!/usr/bin/env bash
# Installs what packages.txt names and this machine lacks, where we are root
# and have apt-get; else says in one line what to install, and ends with 1.
set -u
list=$(dirname "${BASH_SOURCE[0]}")/packages.txt
missing=()
while read -r program package; do
    command -v "$program" >/dev/null || missing+=("$package")
done < <(grep -v '^#' "$list")
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    # a redis-server that is installed for a test must not start as a service
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    echo "installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    if apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
        { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; }; then
        exit 0
    fi
fi
echo "tests: please install: ${missing[*]}   (Debian: apt-get install ${missing[*]})" >&2
exit 1
