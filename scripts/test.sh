#!/usr/bin/env bash
# The test suite. Arguments go to pytest: scripts/test.sh tests/unit -k types
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --dev
exec .venv/bin/python -m pytest "$@"
