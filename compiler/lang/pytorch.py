"""PyTorch's names that have another name here, or none: what to write instead.

One table says what a PyTorch user may write and what there is for it; whoever asks a tensor, a
module, an optimiser or one of the packages for an unknown name is told from it, and
docs/from_pytorch.md shows it.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from .builder import Builder, current
from .errors import UnknownName

P = ParamSpec("P")
R = TypeVar("R")

_STEP = "opt.minimize(loss) is zero_grad, backward and step in one"
_OPEN = "a value is known when the program runs: print_('{}', x.reveal()) or output('x', x)"
_PLACE = "leave it out: where data lies is no matter of the program"
_GRAD = "gradients = grad(loss, [w]) gives them, opt.gradients(loss) for all parameters"
_KIND = "kinds are sfix, sint, sbit, and clear cfix, cint: x.to(sfix)"
_ALWAYS = "leave it out: gradients are taken only where opt.minimize(loss) or grad(...) asks"
_HOOK = "write what it does in `forward`"
_MASK = "where(mask, a, b) with secret bits, such as x > 0"
_NEW = "there are no changes in place: make a new tensor, or keep one in state(...) and use set"

# Functions of the language that are methods of tensors too, as in PyTorch.
METHODS = (
    "argsort", "cos", "erf", "exp", "exp2", "log", "log2", "log_softmax", "maximum", "minimum",
    "reciprocal", "relu", "rsqrt", "sigmoid", "sin", "softmax", "sort", "sqrt", "tanh", "topk",
)  # fmt: skip

HINTS: dict[str, dict[str, str]] = {
    "tensor": {
        "backward": _STEP,
        "item tolist numpy": _OPEN,
        "grad": _GRAD,
        "detach data": "take gradients before the step that must not see them; constants have none",
        "requires_grad requires_grad_ retain_grad": "give the optimiser what is to be trained",
        "cpu cuda device is_cuda": _PLACE,
        "dtype float double half long int bool type_as": _KIND,
        "clone contiguous": "leave it out: tensors never change",
        "dim": "x.ndim",
        "numel": "x.size",
        "amax": "x.max(axis)",
        "amin": "x.min(axis)",
        "add sub mul div matmul mm bmm neg": "operators: + - * / @",
        "eq ne lt le gt ge": "operators: == != < <= > >=",
        "square": "x * x",
        "var std": "m = x.mean(axis, keepdims=True); ((x - m) ** 2).mean(axis)",
        "norm": "sqrt((x * x).sum())",
        "clamp clip": "minimum(maximum(x, low), high)",
        "chunk split unbind narrow": "slices: x[:, :n], x[:, n:]",
        "repeat repeat_interleave": "concat([x, x]), or x.expand(...)",
        "expand_as": "x.expand(y.shape)",
        "view_as reshape_as": "x.reshape(y.shape)",
        "gather index_select": "x[index] with a clear index; a product with one_hot rows otherwise",
        "masked_fill masked_select": _MASK,
        "any all": "(bits.sum() > 0), (bits.sum() == bits.size)",
        "fill_ zero_ copy_ add_ sub_ mul_ div_ relu_ clamp_ scatter_": _NEW,
    },
    "module": {
        "to cuda cpu half float double": _PLACE,
        "zero_grad": _STEP,
        "load_state_dict": 'model.load(Party(1), "model"), or nn.from_torch(module, Party(1))',
        "register_parameter": "self.name = state(values)",
        "add_module register_module": "self.name = module",
        "requires_grad_": "give the optimiser what is to be trained, or use register_buffer",
        "register_forward_hook register_forward_pre_hook register_full_backward_hook": _HOOK,
        "weight_norm spectral_norm": _HOOK,
        "apply": "for m in model.modules(): ...",
        "append": "use a list of modules, or nn.ModuleList",
    },
    "optimizer": {
        "zero_grad": "leave it out: " + _STEP,
        "backward": _STEP,
        "param_groups add_param_group": "one optimiser for each group; rates: optim.lr_scheduler",
        "state_dict load_state_dict": "checkpoint(...) saves it: sequester run --resume",
    },
    "nn": {
        "Parameter": "self.w = state(values)",
        "no_grad": _ALWAYS,
        "functional": "functions are in sequester itself (relu, softmax, ...), losses in nn",
        "NLLLoss": "nn.CrossEntropyLoss() of the logits is log-softmax and loss in one",
        "L1Loss SmoothL1Loss HuberLoss": "nn.MSELoss(), or a function: abs(x - y).mean()",
        "Conv1d": "nn.Conv2d with a height of 1",
        "Dropout1d Dropout2d Dropout3d": "nn.Dropout, which drops single elements",
        "ELU SELU SiLU Mish Hardtanh ReLU6": "an nn.Lambda of the language's functions",
        "Unflatten": "nn.Lambda(lambda x: x.reshape(...))",
        "ParameterList ParameterDict": "a list or dict of state(...)",
        "DataParallel": _PLACE,
        "clip_grad_value_": "nn.utils.clip_grad_value_(gradients, bound)",
    },
    "optim": {"RMSprop Adagrad Adadelta Adamax NAdam RAdam LBFGS Rprop": "optim.Adam or optim.SGD"},
    "optim.lr_scheduler": {
        "OneCycleLR": "SequentialLR of LinearLR (up) and CosineAnnealingLR (down)",
        "ReduceLROnPlateau": "MultiStepLR: rates are public and fixed before the run",
        "CyclicLR CosineAnnealingWarmRestarts PolynomialLR": "LambdaLR(opt, lambda t: ...)",
    },
    "sequester": {
        "tensor as_tensor from_numpy FloatTensor": "sfix(values), or clear: cfix(values)",
        "no_grad inference_mode": _ALWAYS,
        "cat": "concat([...], axis)",
        "matmul mm bmm": "a @ b",
        "manual_seed": "sequester run --seed N",
        "device cuda": _PLACE,
        "save load": 'output("model", model) writes it, model.load(Party(1)) reads it',
        "randperm": "permutation(n)",
        "rand randn": "uniform(lo, hi, shape), random_bits(...)",
        "float32 float64 int64 long": _KIND,
        "functional": "functions are in sequester itself (relu, softmax, ...), losses in nn",
    },
}


def unknown(kind: str, what: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error of who asks for an attribute that is not there.

    Args:
        kind: the table of `HINTS`.
        what: who is asked, such as "a tensor".
        name: for what.
        known: what there is, for names that are close.
    """
    if name.startswith("_"):  # Python's own questions
        return AttributeError(name)
    hint = next((said for names, said in HINTS[kind].items() if name in names.split()), "")
    if not hint:
        public = [n for n in known if not n.startswith("_")]
        hint = ", ".join(difflib.get_close_matches(name, public, 3))
        hint = hint and f"close to it: {hint}"
    b = Builder.active_one()
    return UnknownName(f"{what} has no {name} here", b.loc() if b is not None else None, hint)


def lookup(kind: str, what: str, known: Iterable[str]) -> Callable[[str], Any]:
    """`__getattr__` of a package: for names that it does not have."""
    names = tuple(known)

    def __getattr__(name: str) -> Any:
        raise unknown(kind, what, name, names)

    return __getattr__


def axis_or_dim(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function take PyTorch's `dim` and `keepdim` for `axis` and `keepdims`.

    An argument that the function does not have is the author's mistake.
    """
    signature = inspect.signature(function)
    theirs = {"dim": "axis", "keepdim": "keepdims"}

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = {}
        for key, value in kwargs.items():
            ours = theirs.get(key, key)
            if ours in given:
                raise current().error(f"{ours} is given twice", "dim is axis, keepdim keepdims")
            given[ours] = value
        try:
            bound = signature.bind(*args, **given)
        except TypeError as error:
            raise current().error(f"{function.__name__}: {error}") from None
        return function(*bound.args, **bound.kwargs)

    return called
