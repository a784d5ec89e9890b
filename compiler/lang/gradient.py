"""Requests for gradients; `passes/autodiff.py` fulfils them."""

from __future__ import annotations

from collections.abc import Sequence

from . import convert
from .builder import current
from .tensor import Operators, Tensor, Value, Variable, as_tensor, sfix, wrap


def grad(
    loss: Value, wrt: Sequence[Operators], *, factor: float = 1.0, bound: float | None = None
) -> list[Tensor]:
    """factor * d loss / d x for each x, all of the current block.

    The results carry extra fractional bits that are rounded when they are used, so that small
    public factors (learning rate / batch size) keep their precision: pass them as `factor`, and add
    what else belongs to the update before anything rounds it.

    Args:
        loss: a secret fixed-point scalar.
        wrt: variables and tensors.
        factor: a public number multiplied in.
        bound: the promise |factor * gradient| < bound; default: what k holds, times |factor| if
            that is below 1. A small bound lets a small factor (and 1/batch from a mean) be
            multiplied into the unrounded product; otherwise the gradient is rounded once more.

    Raises:
        ProgramError: a loss that is no scalar; by the autodiff pass: a path through a loop, or
            through a variable that was overwritten after use.
    """
    b = current()
    c = b.config
    value = as_tensor(loss)
    if value.shape != () or not isinstance(value, sfix):
        raise b.error(
            f"gradients are of a secret fixed-point scalar, not of {value!r}",
            "reduce it: loss.mean() or loss.sum()",
        )
    room = c.ring_bits - 2
    limit = 2.0 ** (c.k - 1 - c.f) * min(1.0, abs(factor) or 1.0) if bound is None else bound
    if not limit > 0:
        raise b.error(f"the bound {bound} is not positive")
    whole = max(1, convert.bits_below(limit))
    precision = max(room - whole, c.f)
    out = []
    for x in wrt:
        var = x.var if isinstance(x, Variable) else None
        if not x.secret or x.type.bit or not x.type.f:
            raise b.error(f"a gradient for {x!r}", "gradients are for secret fixed-point numbers")
        inputs = [value.node] if var is not None else [value.node, x.read()._node]
        node = b.emit("grad", inputs, var=var, factor=float(factor), precision=precision)
        out.append(wrap(node, precision - c.f, room))
    return out
