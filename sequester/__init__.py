"""Sequester: train and run neural networks on data that nobody shows to anybody.

These are the names that programs use; `sequester --help` is the command line.
"""

from .compiler import nn
from .compiler.lang import (
    Party,
    Program,
    ProgramError,
    Tensor,
    arange,
    argmax,
    cfix,
    checkpoint,
    cint,
    concat,
    cross_entropy,
    else_,
    exp,
    full,
    grad,
    if_,
    log,
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
    sigmoid,
    sint,
    softmax,
    sqrt,
    stack,
    standardize,
    state,
    tanh,
    uniform,
    where,
    while_,
    zeros,
)
from .compiler.nn import optim

__all__ = [
    "Party", "Program", "ProgramError", "Tensor", "arange", "argmax", "cfix", "checkpoint", "cint",
    "concat", "cross_entropy", "else_", "exp", "full", "grad", "if_", "log", "log_softmax", "loop",
    "maximum", "minimum", "nn", "ones", "optim", "output", "pad", "permutation", "print_",
    "program", "random_bits", "reciprocal", "relu", "rsqrt", "sbit", "select", "sfix", "sigmoid",
    "sint", "softmax", "sqrt", "stack", "standardize", "state", "tanh", "uniform", "where",
    "while_", "zeros",
]  # fmt: skip
