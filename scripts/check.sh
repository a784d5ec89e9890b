#!/usr/bin/env bash
# Style, types, formats, warnings, and that generated files match the tables they come from.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --dev
PATH="$PWD/.venv/bin:$PATH"

step() { echo "check: $1" >&2; }

step "ruff"
ruff check .
ruff format --check .
step "mypy --strict"
mypy
step "clang-format"
find runtime_c -name '*.[ch]' -not -path '*/build/*' -print0 | xargs -0 clang-format --dry-run -Werror
step "gcc -Wall -Wextra -Werror"
warnings() { xargs -0 -n 1 -P "$(nproc)" cc -std=gnu11 -O2 -Wall -Wextra -Werror -fsyntax-only -pthread "$@"; }
find runtime_c -name '*.c' -not -path '*/build/*' -not -path 'runtime_c/tests/*' -print0 | warnings
find runtime_c/tests -name '*.c' -print0 | warnings -DSEQ_TEST # the seams of test builds
step "generated files"
python - <<'PYTHON'
import sys
from pathlib import Path
from sequester.compiler.isa.generate import targets

stale = [str(p) for p, text in targets(Path.cwd()).items() if p.read_text("utf-8") != text]
if stale:
    sys.exit(f"stale: {', '.join(stale)}; run python -m sequester.compiler.isa.generate")
PYTHON
step "size budgets"
find compiler vm sequester/*.py scripts programs -name '*.py' -print0 | xargs -0 wc -l |
    awk '$2 != "total" && $1 > 600 { print "  " $1 " lines: " $2 }' >&2
find runtime_c -name '*.[ch]' -not -path '*/build/*' -print0 | xargs -0 wc -l |
    awk '$2 != "total" && $1 > 1000 { print "  " $1 " lines: " $2 }' >&2
