"""Sequester: train and run neural networks on data that nobody shows to anybody.

These are the names that programs use; `sequester --help` is the command line.
"""

import sys as _sys
from typing import TYPE_CHECKING

from .compiler import nn
from .compiler.lang import (
    Parties,
    Party,
    Program,
    ProgramError,
    Tensor,
    arange,
    argmax,
    argsort,
    cfix,
    checkpoint,
    cint,
    concat,
    cos,
    cross_entropy,
    else_,
    erf,
    exp,
    exp2,
    full,
    gelu,
    grad,
    if_,
    log,
    log2,
    log_softmax,
    loop,
    maximum,
    minimum,
    ones,
    output,
    pad,
    permutation,
    print_,
    program,
    random_bits,
    reciprocal,
    relu,
    rsqrt,
    sbit,
    select,
    sfix,
    shuffle,
    sigmoid,
    sin,
    sint,
    softmax,
    softplus,
    sort,
    sqrt,
    stack,
    standardize,
    state,
    tanh,
    topk,
    uniform,
    where,
    while_,
    zeros,
)
from .compiler.lang.pytorch import lookup as _lookup
from .compiler.nn import optim

__all__ = [
    "Parties", "Party", "Program", "ProgramError", "Tensor", "arange", "argmax", "argsort", "cfix",
    "checkpoint", "cint", "concat", "cos", "cross_entropy", "else_", "erf", "exp", "exp2", "full",
    "gelu", "grad", "if_", "log", "log2", "log_softmax", "loop", "maximum", "minimum", "nn", "ones",
    "optim", "output", "pad", "permutation", "print_", "program", "random_bits", "reciprocal",
    "relu", "rsqrt", "sbit", "select", "sfix", "shuffle", "sigmoid", "sin", "sint", "softmax",
    "softplus", "sort", "sqrt", "stack", "standardize", "state", "tanh", "topk", "uniform", "where",
    "while_", "zeros",
]  # fmt: skip

# `import sequester.nn as nn` and `from sequester.optim import SGD`: the packages, by these names.
for _name, _module in list(_sys.modules.items()):
    for _package in (nn, optim):
        if (_name + ".").startswith(_package.__name__ + "."):
            _short = _package.__name__.rpartition(".")[2] + _name[len(_package.__name__) :]
            _sys.modules[f"{__name__}.{_short}"] = _module

if not TYPE_CHECKING:
    __getattr__ = _lookup("sequester", "sequester", __all__)
