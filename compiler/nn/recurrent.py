"""Recurrent layers, unrolled: a sequence of n steps is n copies of the cell in the program."""

from __future__ import annotations

from typing import Any

from .. import lang
from ..lang import Operators, Tensor, Variable, concat, current, stack, zeros
from .dropout import Dropout
from .init import fan_in_uniform
from .module import Module, only

States = tuple[Tensor, ...]


class _Recurrent(Module):
    """Layers of a cell, over sequences (steps, batch, features), or (batch, steps, features) with
    `batch_first`.

    Parameters are PyTorch's: `weight_ih_l0` (gates * hidden, inputs), `weight_hh_l0`, `bias_ih_l0`,
    `bias_hh_l0`, one set a layer, and those of the other direction with `_reverse`.
    """

    _gates = 0
    _states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        if min(input_size, hidden_size, num_layers) < 1:
            raise current().error(
                f"{type(self).__name__}({input_size}, {hidden_size}, {num_layers})",
                "sizes and the number of layers are at least 1",
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = dropout
        self._drop = Dropout(dropout)
        for layer in range(num_layers):
            for suffix in self._directions():
                inputs = input_size if layer == 0 else hidden_size * len(self._directions())
                self._make(f"_l{layer}{suffix}", inputs)

    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _make(self, suffix: str, inputs: int) -> None:
        h, rows = self.hidden_size, self._gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, h)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            made = fan_in_uniform(shape, h, f"{type(self).__name__}.{name}{suffix}")
            setattr(self, name + suffix, made)

    def forward(self, x: Operators, hx: Any = None) -> tuple[Tensor, Any]:
        """All hidden states of the last layer (steps, batch, directions * hidden), and the last
        states of every layer and direction (layers * directions, batch, hidden): h, or (h, c).

        Args:
            hx: the first states, like the last ones; default: zeros.
        """
        name = type(self).__name__
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise current().error(
                f"{name} of {self.input_size} features meets shape {x.shape}",
                "sequences are (steps, batch, features), with batch_first (batch, steps, features)",
            )
        steps = x.transpose(0, 1) if self.batch_first else x.read()
        start = self._first(hx, steps.shape[1])
        last: list[States] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._directions():
                before = tuple(s[len(last)] for s in start)
                out, after = self._run(steps, before, f"_l{layer}{suffix}")
                outputs.append(out)
                last.append(after)
            steps = outputs[0] if len(outputs) == 1 else concat(outputs, axis=2)
            if self.dropout and layer < self.num_layers - 1:
                steps = self._drop(steps)
        ends = tuple(stack([states[i] for states in last]) for i in range(self._states))
        return steps.transpose(0, 1) if self.batch_first else steps, self._given_back(ends)

    def _first(self, hx: Any, batch: int) -> States:
        shape = (self.num_layers * len(self._directions()), batch, self.hidden_size)
        if hx is None:
            return tuple(zeros(shape) for _ in range(self._states))
        given: tuple[Operators, ...] = (hx,) if isinstance(hx, Operators) else tuple(hx)
        if len(given) != self._states or any(s.shape != shape for s in given):
            raise current().error(
                f"first states of shapes {[s.shape for s in given]}",
                f"{type(self).__name__} wants {self._states} of shape {shape}",
            )
        return tuple(s.read() for s in given)

    def _given_back(self, states: States) -> Any:
        return states if self._states > 1 else states[0]

    def _run(self, x: Tensor, states: States, suffix: str) -> tuple[Tensor, States]:
        """One direction of one layer: its hidden states in the order of x, and the last states."""
        steps, batch, features = x.shape
        inputs = x.reshape(-1, features) @ self._parameter("weight_ih" + suffix).T
        if self.bias:
            inputs = inputs + self._parameter("bias_ih" + suffix)
        inputs = inputs.reshape(steps, batch, -1)
        order = range(steps)
        found = []
        for t in reversed(order) if suffix.endswith("_reverse") else order:
            hidden = states[0] @ self._parameter("weight_hh" + suffix).T
            if self.bias:
                hidden = hidden + self._parameter("bias_hh" + suffix)
            states = self._cell(inputs[t], hidden, states)
            found.append(states[0])
        return stack(found[::-1] if suffix.endswith("_reverse") else found), states

    def _parameter(self, name: str) -> Variable:
        found = getattr(self, name)
        assert isinstance(found, Variable)
        return found

    def _cell(self, x: Tensor, h: Tensor, states: States) -> States:
        """New states from what the inputs and the hidden state give the gates."""
        raise NotImplementedError

    def _gate(self, x: Tensor, first: int, last: int) -> Tensor:
        return x[:, first * self.hidden_size : last * self.hidden_size]


class LSTM(_Recurrent):
    """Long short-term memory; gates are input, forget, cell, output. State: (h, c)."""

    _gates, _states = 4, 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
    ) -> None:
        only("LSTM", proj_size=(proj_size, 0))
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )

    def _cell(self, x: Tensor, h: Tensor, states: States) -> States:
        gates = x + h
        both, o = lang.sigmoid(self._gate(gates, 0, 2)), lang.sigmoid(self._gate(gates, 3, 4))
        i, f, g = self._gate(both, 0, 1), self._gate(both, 1, 2), lang.tanh(self._gate(gates, 2, 3))
        c = f * states[1] + i * g
        return o * lang.tanh(c), c


class GRU(_Recurrent):
    """Gated recurrent units; gates are reset, update, new. State: h."""

    _gates, _states = 3, 1

    def _cell(self, x: Tensor, h: Tensor, states: States) -> States:
        both = lang.sigmoid(self._gate(x, 0, 2) + self._gate(h, 0, 2))
        r, z = self._gate(both, 0, 1), self._gate(both, 1, 2)
        n = lang.tanh(self._gate(x, 2, 3) + r * self._gate(h, 2, 3))
        return (n + z * (states[0] - n),)
