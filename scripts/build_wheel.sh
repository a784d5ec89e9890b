#!/usr/bin/env bash
# Build dist/sequester-*.whl and prove that it works in an empty environment, away from the source.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --dev
rm -rf dist build
.venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check dist/sequester-*.whl
cp programs/millionaires.py "$work"
cd "$work"
for i in 0 1 2; do echo $((i * 5 % 7)) >"$i.csv"; done
venv/bin/sequester --version
venv/bin/sequester protocols
venv/bin/sequester run millionaires.py --protocol rep3 --out run \
    --input 0:wealth=0.csv --input 1:wealth=1.csv --input 2:wealth=2.csv
venv/bin/sequester report run
echo "wheel works: $(cd "$OLDPWD" && ls dist/*.whl)"
