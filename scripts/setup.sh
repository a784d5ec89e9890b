#!/usr/bin/env bash
# Everything a fresh Debian or Ubuntu needs: system packages, the virtual environment .venv, the C
# runtime. `setup.sh --dev` adds the tools of check.sh and test.sh. Does nothing when all is in place.
set -euo pipefail
cd "$(dirname "$0")/.."

extra=""
[ "${1:-}" = "--dev" ] && extra="[dev]"

# --- what pip cannot install -------------------------------------------------------------------
python=""
for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
    if command -v "$candidate" >/dev/null &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        python=$candidate
        break
    fi
done

missing=()
[ -n "$python" ] || missing+=(python3)
if ! command -v cc >/dev/null; then missing+=(build-essential); fi
if [ -z "$python" ] || ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    missing+=(python3-venv)
fi
headers='import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
if [ -z "$python" ] || ! "$python" -c "$headers"; then missing+=(python3-dev); fi
if ! command -v cc >/dev/null || ! echo '#include <openssl/ssl.h>' | cc -E - >/dev/null 2>&1; then
    missing+=(libssl-dev)
fi

if [ ${#missing[@]} -gt 0 ]; then
    command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "setup: missing: ${missing[*]} (Debian's names); install them with your package manager" >&2
        exit 1
    elif [ "$(id -u)" = 0 ]; then
        sh -c "export DEBIAN_FRONTEND=noninteractive; $command"
    elif sudo -n true 2>/dev/null; then
        sudo -n sh -c "export DEBIAN_FRONTEND=noninteractive; $command"
    else
        echo "setup: missing: ${missing[*]}. Run this, then try again:" >&2
        echo "    sudo sh -c '$command'" >&2
        exit 1
    fi
    exec "$0" "$@"
fi

# --- the virtual environment and the C runtime ---------------------------------------------------
stamp="$extra $("$python" -c 'import sys; print(sys.version)' | tr '\n' ' ') $(
    find runtime_c pyproject.toml scripts/build_backend.py compiler/isa/table.py \
        -type f -not -path '*/build/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum
)"
if [ -f .venv/sequester.stamp ] && [ "$(cat .venv/sequester.stamp)" = "$stamp" ]; then
    exit 0
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
rm -f sequester/_runtime*.so # setuptools would not see that only a header changed
echo "setup: installing Sequester and building its C runtime into .venv (a minute or two)" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$extra"
echo "$stamp" >.venv/sequester.stamp
