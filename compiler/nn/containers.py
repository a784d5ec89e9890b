"""Lists and dictionaries of modules, with PyTorch's names. Plain ones serve as well."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar

from ..lang import current
from .module import Module

ListT = TypeVar("ListT", bound="ModuleList")


def _checked(module: Any) -> Module:
    if not isinstance(module, Module):
        raise current().error(f"{module!r} is no module", "functions: nn.Lambda(function)")
    return module


class ModuleList(Module):
    """Modules named 0, 1, ..., which a `forward` calls as it likes."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._parts = [_checked(m) for m in modules]

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), m) for i, m in enumerate(self._parts))

    def append(self: ListT, module: Module) -> ListT:
        """Add a module at the end; returns the list."""
        self._parts.append(_checked(module))
        return self

    def extend(self: ListT, modules: Iterable[Module]) -> ListT:
        """Add modules at the end; returns the list."""
        self._parts += [_checked(m) for m in modules]
        return self

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._parts)

    def __getitem__(self, i: int) -> Module:
        if not -len(self) <= i < len(self):
            raise current().error(f"module {i} of {len(self)}")
        return self._parts[i]

    def __setitem__(self, i: int, module: Module) -> None:
        self[i]  # is there
        self._parts[i] = _checked(module)


class ModuleDict(Module):
    """Modules named by their keys, which a `forward` calls as it likes."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self._parts = {key: _checked(m) for key, m in (modules or {}).items()}

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return iter(self._parts.items())

    def keys(self) -> KeysView[str]:
        return self._parts.keys()

    def values(self) -> ValuesView[Module]:
        return self._parts.values()

    def items(self) -> ItemsView[str, Module]:
        return self._parts.items()

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __contains__(self, key: str) -> bool:
        return key in self._parts

    def __getitem__(self, key: str) -> Module:
        if key not in self._parts:
            raise current().error(f"no module {key!r}", f"there are {', '.join(self._parts)}")
        return self._parts[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self._parts[key] = _checked(module)
