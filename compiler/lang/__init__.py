"""The language that programs are written in. See `docs/language.md`."""

from .arith import bit_values, join_planes
from .builder import Builder, current
from .control import checkpoint, else_, if_, loop, while_
from .convert import arange, compose, full, ones, zeros
from .errors import ProgramError
from .functions import (
    argmax,
    argsort,
    conv2d,
    cos,
    cross_entropy,
    erf,
    exp,
    exp2,
    gelu,
    log,
    log2,
    log_softmax,
    max_pool2d,
    maximum,
    minimum,
    permutation,
    random_bits,
    reciprocal,
    relu,
    rsqrt,
    select,
    sigmoid,
    sin,
    softmax,
    softplus,
    sort,
    sqrt,
    standardize,
    tanh,
    topk,
    uniform,
    where,
)
from .gradient import grad
from .inout import Parties, Party, output, print_
from .lowering import LOWERINGS, lowering
from .program import Option, Program, program
from .randomness import shuffle
from .shapes import concat, dilate, pad, stack
from .tensor import Operators, Tensor, Variable, cfix, cint, sbit, sfix, sint, state

__all__ = [
    "Builder", "LOWERINGS", "Operators", "Option", "Parties", "Party", "Program", "ProgramError",
    "Tensor", "Variable", "arange", "argmax", "argsort", "bit_values", "cfix", "checkpoint", "cint",
    "compose", "concat", "conv2d", "cos", "cross_entropy", "current", "dilate", "else_", "erf",
    "exp", "exp2", "full", "gelu", "grad", "if_", "join_planes", "log", "log2", "log_softmax",
    "loop", "lowering", "max_pool2d", "maximum", "minimum", "ones", "output", "pad", "permutation",
    "print_", "program", "random_bits", "reciprocal", "relu", "rsqrt", "sbit", "select", "sfix",
    "shuffle", "sigmoid", "sin", "sint", "softmax", "softplus", "sort", "sqrt", "stack",
    "standardize", "state", "tanh", "topk", "uniform", "where", "while_", "zeros",
]  # fmt: skip
