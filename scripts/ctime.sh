#!/bin/sh
# Constant time: runs every instruction that touches shares under valgrind, with all secrets (inputs,
# keys, messages, what follows from them) marked as undefined memory until they are opened. memcheck
# then reports each branch and each address that depends on one. Kernels: portable and AVX2; valgrind knows no
# AVX-512, whose kernels are the same loops by the same rules (docs/vm.md).
#
# A control comes last: checked emulation looks at values, so there memcheck must find something.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
command -v valgrind > /dev/null || { echo "ctime: valgrind is missing (apt install valgrind)" >&2; exit 2; }
runner=$(PYTHONPATH=. "$python" -m tests.vm.runner ctime)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

check() { # ring (127: the field; 192: 64 bits in words of 128) kernels protocol parties [options]
    name="$3, $4 parties, ring 2^$1, $2 kernels"
    edit="s/ring_bits=64 k=31/ring_bits=$1 k=$(($1 / 2 - 1))/"
    if [ "$1" = 127 ]; then
        name="$3, $4 parties, the field, $2 kernels"
        edit="s/domain=0/domain=1/"
    elif [ "$1" = 192 ]; then
        name="$3, $4 parties, 64 bits in words of 128, $2 kernels"
        edit="s/domain=0/domain=2/"
    fi
    [ "$4" != 2 ] || edit="$edit;s/party=2/party=1/"
    sed "$edit" tests/vm/every.asm > "$work/every.asm"
    PYTHONPATH=. "$python" -m sequester asm "$work/every.asm" -o "$work/every.sqb"
    kernels=$2 protocol=$3 parties=$4
    shift 4
    SEQUESTER_KERNELS=$kernels valgrind -q --error-exitcode=99 --fair-sched=yes \
        --suppressions=tests/vm/openssl.supp \
        "$runner" "$work/every.sqb" "$protocol" "$parties" "$@" > "$work/out" 2> "$work/err"
}

for setting in 64,rep3,3 128,rep3,3 64,rep3-mal,3 64,rep4,4 128,rep4,4 127,shamir,3 \
    127,shamir-mal,3 64,dealer,3 128,dealer,3 64,semi2k,2 64,semi2k,3 \
    192,spdz2k-dealt,3; do
    for kernels in portable avx2; do
        protocol=${setting#*,}
        if ! check "${setting%%,*}" $kernels "${protocol%,*}" "${setting##*,}"; then
            cat "$work/err" >&2
            echo "ctime: FAILED: $name" >&2
            exit 1
        fi
        echo "ctime: $name: no branch and no address depends on a secret"
    done
done
if check 64 portable emulate 1 --checked 1; then
    echo "ctime: FAILED: the control was not reported: this check sees nothing" >&2
    exit 1
fi
grep -q "uninitialised" "$work/err" || { cat "$work/err" >&2; exit 1; }
echo "ctime: the control was reported, as it must be"
