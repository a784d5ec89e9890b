"""To PyTorch and back: `from_torch` makes a module of a PyTorch module, `to_torch` the reverse.

A layer is translated by its constructor: PyTorch's options are read from the module (or from the
call that made ours) and given to the class of the same name on the other side. An option that the
other side does not have must have PyTorch's default value; anything else is an error that names
the module's path and the option. PyTorch itself is imported only when one of the two is called.
"""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np

from ..lang import Party, ProgramError, Variable, current, program, sfix
from . import bridge_fx
from .bridge_mirror import CONTAINERS, mirror
from .containers import ModuleDict, ModuleList
from .module import Module, Sequential

Weights = Mapping[str, Any] | str | PathLike[str]

_HERE = __name__.rpartition(".")[0]  # the package of all layers

# Where memory lies, of which type it is, how weights start: nothing that changes the computation.
# PyTorch's losses make `reduction` of the old `size_average` and `reduce`.
_IGNORED = ("self", "device", "dtype", "inplace", "_weight", "_freeze", "size_average", "reduce")


def torch() -> Any:
    """PyTorch; ProgramError if it is not installed."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise ProgramError("PyTorch is not installed", hint="pip install torch") from None


def from_torch(module: Any, weights: Party | None = None, name: str = "model") -> Module:
    """A module that computes what a PyTorch module computes, with its parameters and buffers.

    Sequential models, known layers in lists and dictionaries of their own, and modules whose
    `forward` torch.fx can trace (residual connections, concatenations, functions of
    `torch.nn.functional` and of tensors that are known here).

    Args:
        weights: None: the weights of `module` become constants of the program, which everybody who
            has the program can read. A party: its inputs `name.key`, secret; `save_torch` writes
            the file.
        name: of these inputs.

    Raises:
        ProgramError: a layer, a function or an option that is not known, with the module's path.
    """
    _refuse_hooks(module, name)
    made = _of_torch(module, name, {})
    _same_modes(module, made)
    _refuse_ties(module, made, name)
    _freeze(module, made)
    if weights is not None:
        return made.load(weights, name)
    given = {key: value.detach().cpu().numpy() for key, value in module.state_dict().items()}
    for key, variable in made.state_dict().items():
        if key not in given:
            raise current().error(f"{name}.{key} has no weights in the PyTorch module")
        if tuple(given[key].shape) != variable.shape:
            raise current().error(
                f"{name}.{key} has shape {tuple(given[key].shape)} in PyTorch, not {variable.shape}"
            )
        variable.set(sfix(given[key].astype(np.float64)))
    return made


def save_torch(module: Any, path: str | PathLike[str]) -> None:
    """Write the weights of a PyTorch module as an `.npz` for `--input PARTY:NAME=FILE`."""
    arrays = {key: value.detach().cpu().numpy() for key, value in module.state_dict().items()}
    np.savez(path, **{key: value for key, value in arrays.items() if _trained(key)})


def _trained(key: str) -> bool:
    return not key.endswith("num_batches_tracked")  # PyTorch's own count, which computes nothing


# --- from PyTorch --------------------------------------------------------------------------------


def _of_torch(module: Any, path: str, done: dict[Any, Module]) -> Module:
    """Translate a module; one that stands in several places (`done`) stays one."""
    if module not in done:
        done[module] = _new_of_torch(module, path, done)
    return done[module]


def _new_of_torch(module: Any, path: str, done: dict[Any, Module]) -> Module:
    kind = type(module)
    if kind is torch().nn.Sequential:
        return Sequential(
            {key: _of_torch(m, f"{path}.{key}", done) for key, m in module._modules.items()}
        )
    if kind is torch().nn.ModuleList:
        return ModuleList(_of_torch(m, f"{path}.{i}", done) for i, m in enumerate(module))
    if kind is torch().nn.ModuleDict:
        return ModuleDict({k: _of_torch(m, f"{path}.{k}", done) for k, m in module.items()})
    if kind.__module__.startswith("torch.nn.modules."):
        return _layer(module, path)
    return bridge_fx.Traced(module, path, lambda part, where: _of_torch(part, where, done))


def _refuse_hooks(module: Any, name: str) -> None:
    """Refuse what changes a module's computation without being in its class: hooks of modules and
    of parameters, those of all modules, and a `forward` of one object's own."""
    everywhere = vars(torch().nn.modules.module).items()
    for key, found in everywhere:
        if key.startswith("_global_") and key.endswith("_hooks") and found:
            raise current().error(f"PyTorch has {key}, for all modules", "remove them first")
    for key, part in module.named_modules():
        path = f"{name}.{key}" if key else name
        what = [hooks for hooks, found in vars(part).items() if "_hooks" in hooks and found]
        if "forward" in vars(part):
            what.append("a forward that is not its class's")
        for key, p in part.named_parameters(recurse=False):
            what += [f"{key} with {hooks}" for hooks in _TENSOR_HOOKS if getattr(p, hooks, None)]
        if what:
            raise current().error(
                f"{path} ({type(part).__name__}) has {', '.join(what)}: not known here",
                "remove them first, or write a class with the forward that is meant",
            )


_TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def _same_modes(source: Any, made: Any) -> None:
    """Set training modes as in another module, part by part; what has no counterpart follows the
    part it is in."""
    parts = dict(made.named_modules())
    for key, module in source.named_modules():
        if key in parts:
            parts[key].train(bool(module.training))


def _refuse_ties(module: Any, made: Module, name: str) -> None:
    """Refuse layers that share a weight without being one layer: here each would have its own."""
    ours = made.state_dict()
    owner: dict[Any, str] = {}
    for key, p in module.named_parameters(remove_duplicate=False):
        first = owner.setdefault(p, key)
        if first != key and {first, key} <= set(ours):
            raise current().error(
                f"{name}.{key} is {name}.{first}: layers that share weights are not known here",
                "use one layer in both places",
            )


def _freeze(module: Any, made: Module) -> None:
    """What PyTorch does not train (requires_grad is False) is no parameter here either."""
    frozen = {key for key, p in module.named_parameters() if not p.requires_grad}
    for path, part in made.named_modules():
        names = [key for key, v in vars(part).items() if isinstance(v, Variable)]
        part._buffers |= {key for key in names if (f"{path}.{key}" if path else key) in frozen}


def _layer(module: Any, path: str) -> Module:
    """A known layer, from the options that its PyTorch object keeps."""
    kind = type(module).__name__
    ours: Any = getattr(importlib.import_module(_HERE), kind, None)
    if ours is None:
        raise current().error(f"{path}: there is no layer {kind} here", "write it as an nn.Module")
    known = inspect.signature(ours.__init__).parameters
    given = {}
    for option, parameter in _options(type(module)).items():
        value = _kept(module, option, path)
        if option in known:
            given[option] = value
        elif not _equal(value, parameter.default):
            raise current().error(
                f"{path} ({kind}): the option {option}={value!r} is not known here",
                f"only {option}={parameter.default!r} is",
            )
    try:
        return ours(**given)  # type: ignore[no-any-return]
    except ProgramError as error:
        raise current().error(f"{path} ({kind}): {error.message}", error.hint) from None


def _equal(value: Any, default: Any) -> bool:
    """Whether an option has its default value, which may stand for one along each axis."""
    return bool(value == default or (isinstance(value, tuple) and set(value) == {default}))


def _options(kind: Any) -> dict[str, inspect.Parameter]:
    """The options of a PyTorch class's constructor that change what it computes."""
    for cls in kind.__mro__:  # some classes take *args and pass them on
        found = inspect.signature(cls.__init__).parameters
        if not any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in found.values()):
            # `mode`, of the base of recurrent layers, is which of them it is.
            fixed = _IGNORED if cls is kind else (*_IGNORED, "mode")
            return {key: p for key, p in found.items() if key not in fixed}
    return {}


def _kept(module: Any, option: str, path: str) -> Any:
    """What an object keeps of an option of its constructor."""
    if not hasattr(module, option):
        raise current().error(f"{path} ({type(module).__name__}) does not tell its {option}")
    value = getattr(module, option)
    if option == "bias":
        return value is not None and value is not False
    if isinstance(value, list):
        return tuple(value)
    return value


# --- to PyTorch ----------------------------------------------------------------------------------


def to_torch(
    model: Module | Callable[[], Module], weights: Weights | None = None, name: str = "model"
) -> Any:
    """A PyTorch module that computes, on real numbers, what a module computes.

    Args:
        model: a module, or a function that makes one (outside of a program there is no other way).
            A module with a `forward` of its own becomes a PyTorch module with the same `forward`,
            which may use operators, methods, sub-modules, and functions that PyTorch has too.
        weights: an `.npz` file that a run wrote (`output("model", model)`), or arrays by name;
            None: PyTorch's own start.
        name: of the model among the outputs; keys are `name.key`, or `key` alone.

    Raises:
        ProgramError: a layer or an option that PyTorch does not have, weights that do not fit.
    """
    if not isinstance(model, Module):
        model = _sketched(model)
    made = _to_torch(model, name, {})
    _same_modes(model, made)
    if weights is not None:
        _load(made, weights, name)
    return made


def _sketched(make: Callable[[], Module]) -> Module:
    """What a function makes inside of a program that nobody runs."""
    found: list[Module] = []

    def sketch() -> None:
        found.append(make())

    program(sketch).trace()
    return found[0]


def _to_torch(module: Module, path: str, done: dict[Module, Any]) -> Any:
    """Translate a module; one that stands in several places (`done`) stays one."""
    if module not in done:
        done[module] = _new_to_torch(module, path, done)
    return done[module]


def _new_to_torch(module: Module, path: str, done: dict[Module, Any]) -> Any:
    if isinstance(module, bridge_fx.Traced):
        return copy.deepcopy(module.source)
    t, kind = torch(), type(module)
    theirs = getattr(t.nn, kind.__name__, None)
    ours = kind.__module__.startswith(_HERE + ".") and kind not in CONTAINERS
    if ours and theirs is not None:
        return _torch_layer(module, theirs, path)
    return mirror(module, path, lambda part, where: _to_torch(part, where, done))


def _torch_layer(module: Module, theirs: Any, path: str) -> Any:
    """PyTorch's layer of the same name, by the arguments that made ours."""
    args, kwargs = module.made_with
    bound = inspect.signature(type(module).__init__).bind(module, *args, **kwargs)
    bound.apply_defaults()  # not all are PyTorch's
    known = _options(theirs)
    given = {}
    for option, value in bound.arguments.items():
        parameter = bound.signature.parameters[option]
        any_number = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if option in known:
            given[option] = value
        elif option not in _IGNORED and not any_number and value != parameter.default:
            raise ProgramError(
                f"{path} ({type(module).__name__}): PyTorch has no option {option}={value!r}"
            )
    made = theirs(**given)
    for option in known:
        _refuse_changed(module, made, option, path)
    return made


_PLAIN = (int, float, str, tuple, type(None))


def _refuse_changed(module: Module, made: Any, option: str, path: str) -> None:
    """Refuse a layer with an option that is no longer what the layer was made with."""
    ours, theirs = getattr(module, option, ...), getattr(made, option, ...)
    if not isinstance(ours, _PLAIN) or not isinstance(theirs, _PLAIN):
        return
    if not np.all(np.asarray(ours) == np.asarray(theirs)):
        raise ProgramError(
            f"{path} ({type(module).__name__}): {option} is {ours!r}, but the layer was made with "
            f"{theirs!r}",
            hint=f"make a new layer with {option}={ours!r}",
        )


def _load(made: Any, weights: Weights, name: str) -> None:
    """Set the weights of a PyTorch module from arrays called `name.key` or `key`."""
    arrays = dict(weights if isinstance(weights, Mapping) else np.load(weights))
    found = {key.removeprefix(f"{name}."): value for key, value in arrays.items()}
    # One that stands in several places has one name here, and several in PyTorch's state_dict.
    state = {k: v.detach() for k, v in (*made.named_parameters(), *made.named_buffers())}
    lacking = [key for key in state if key not in found and _trained(key)]
    if lacking:
        raise ProgramError(
            f"no weights for {', '.join(lacking)}",
            hint=f"they are called {name}.{lacking[0]} and so on where output({name!r}, model) "
            "wrote them",
        )
    for key, tensor in state.items():
        if not _trained(key):
            continue
        value = np.asarray(found[key])
        if value.shape != tuple(tensor.shape):
            raise ProgramError(f"{key} has shape {value.shape}, not {tuple(tensor.shape)}")
        tensor.copy_(torch().from_numpy(value.astype(np.float64)))
