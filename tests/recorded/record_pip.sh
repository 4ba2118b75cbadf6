#!/bin/sh
# Record what pip says when GuideLLM's environment is made on a release, for the tests.
#
#     sh tests/recorded/record_pip.sh BASE_ROOT CODENAME [ok]
#
# BASE_ROOT is a practice droplet's base root (`ls ~/.cache/rocminfra-lab`); it is not changed. With
# `ok` the installation is only resolved (--dry-run), which says whether one exists for the release's
# Python. Needs root. Writes tests/recorded/pip/CODENAME-*.txt: the exit code, then what pip printed.
set -eu
base=$1 codename=$2 out=$(realpath "$(dirname "$0")")/pip
mkdir -p "$out"
work=$(mktemp -d)
# Wheels of this machine are not in the root.
unset PIP_FIND_LINKS
trap 'rm -rf "$work"' EXIT
mkdir "$work/upper" "$work/work" "$work/root"
echo 'torch==2.13.0 guidellm[vision]==0.8.1' >"$work/wanted"

# pip NAME OPTIONS…: in the root, in a mount name space that ends with the command.
pip() {
    name=$1
    shift
    unshare --mount sh -euc '
        mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
        mount --bind /proc "$2/root/proc"; mount --bind /dev "$2/root/dev"
        cp -L /etc/resolv.conf "$2/root/etc/resolv.conf"
        work=$2; shift 2
        exec chroot "$work/root" sh -c "
            test -d /venv || python3 -m venv /venv
            code=0
            /venv/bin/python -m pip install --no-input --no-compile --disable-pip-version-check \
                $* 2>&1 || code=\$?
            echo \"exit code \$code\""
    ' sh "$base" "$work" "$@" $(cat "$work/wanted") >"$out/$codename-$name.txt"
    tail -n 3 "$out/$codename-$name.txt"
}

if test "${3:-}" = ok; then
    pip resolved --quiet --dry-run
else
    # With a Python that GuideLLM does not run on.
    pip refused --quiet
fi
# Nothing listens there.
PIP_RETRIES=0 PIP_INDEX_URL=http://127.0.0.1:9/simple PIP_EXTRA_INDEX_URL= \
    pip unreachable --quiet
