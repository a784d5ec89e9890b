"""The language that programs are written in. See `docs/language.md`."""

from .arith import bit_values, join_planes
from .builder import Builder, current
from .control import checkpoint, else_, if_, loop, while_
from .convert import arange, compose, full, ones, zeros
from .errors import ProgramError
from .functions import (
    argmax,
    conv2d,
    cross_entropy,
    exp,
    log,
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
    softmax,
    sqrt,
    standardize,
    tanh,
    uniform,
    where,
)
from .gradient import grad
from .inout import Party, output, print_
from .lowering import LOWERINGS, lowering
from .program import Option, Program, program
from .shapes import concat, dilate, pad, stack
from .tensor import Operators, Tensor, Variable, cfix, cint, sbit, sfix, sint, state

__all__ = [
    "LOWERINGS", "Builder", "Operators", "Option", "Party", "Program", "ProgramError", "Tensor",
    "Variable", "arange", "argmax", "bit_values", "cfix", "checkpoint", "cint", "compose", "concat",
    "conv2d", "cross_entropy", "current", "dilate", "else_", "exp", "full", "grad", "if_",
    "join_planes", "log", "log_softmax", "loop", "lowering", "max_pool2d", "maximum", "minimum",
    "ones", "output", "pad", "permutation", "print_", "program", "random_bits", "reciprocal",
    "relu", "rsqrt", "sbit", "select", "sfix", "sigmoid", "sint", "softmax", "sqrt", "stack",
    "standardize", "state", "tanh", "uniform", "where", "while_", "zeros",
]  # fmt: skip
