#!/usr/bin/env bash
# Compile a LeNet, train it on real MNIST between three processes over mutual TLS, and report.
#   scripts/demo.sh [--seed N] [--json]     --json: the last line is one JSON object
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh >&2
exec .venv/bin/python scripts/demo.py "$@"
