"""Where the linked modules lie on a charger: beside each other, under short names.

Why: the interpreter keeps the name and the path of every module it ever loaded, and a package is a
module of its own: `firmware.session.recovery` with its two packages costs some 200 bytes of heap
for ever, `cn_` some 20. A text that is a module's whole name (of a call of leave, of __import__)
is that module; one that only begins like it is refused. `names.json` says which is which.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from hostsim.setup.link import ROOT_MODULE, LinkError

_MOVED = "firmware"
_ROOT = "app"


def settle(units: dict[str, ast.Module], known: Iterable[str]) -> dict[str, str]:
    """Moves the modules of `firmware` in place; old name to new one. `known`: short names that the
    linked modules have anyway. Raises LinkError for what cannot be followed.
    """
    for name in [name for name, tree in units.items() if _ours(name) and not _does(tree)]:
        del units[name]  # a package that only says what it is
    free = _free(units, known)
    places = {
        name: _ROOT if name == ROOT_MODULE else next(free) for name in sorted(units) if _ours(name)
    }
    for tree in units.values():
        _Follow(places).visit(tree)
        ast.fix_missing_locations(tree)
    moved = {places.get(name, name): tree for name, tree in units.items()}
    units.clear()
    units.update(moved)
    return places


def _ours(name: str) -> bool:
    return name.split(".")[0] == _MOVED


def _does(tree: ast.Module) -> bool:
    return any(not isinstance(node, ast.Pass) for node in tree.body)


def _free(units: dict[str, ast.Module], known: Iterable[str]) -> Iterator[str]:
    """Names that no module of ours has, and none of the interpreter's: those end in no `_`."""
    short = {name for name in known if len(name) <= 3 and name.endswith("_")}
    more = (f"m{number}_" for number in range(len(units)))
    return (name for name in [*sorted(short), *more] if name not in units)


class _Follow(ast.NodeTransformer):
    def __init__(self, places: dict[str, str]) -> None:
        self._places = places

    def visit_Import(self, node: ast.Import) -> ast.AST:  # noqa: N802
        for alias in node.names:
            if _ours(alias.name):
                raise LinkError(f"import {alias.name}: write from ... import ...")
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.stmt]:  # noqa: N802
        if not _ours(node.module or ""):
            return node
        whole: list[ast.stmt] = []
        names: list[ast.alias] = []
        for alias in node.names:
            place = self._places.get(f"{node.module}.{alias.name}")
            if place is None:
                names.append(alias)
                continue
            whole.append(ast.Import([ast.alias(place, alias.asname or alias.name)]))
        if names:
            if node.module not in self._places:
                raise LinkError(f"from {node.module} import {names[0].name}: it is not there")
            whole.append(ast.ImportFrom(self._places[node.module], names, 0))
        return whole

    def visit_Constant(self, node: ast.Constant) -> ast.AST:  # noqa: N802
        if not isinstance(node.value, str) or not node.value.startswith(f"{_MOVED}."):
            return node
        if node.value in self._places:
            return ast.copy_location(ast.Constant(self._places[node.value]), node)
        raise LinkError(f"{node.value!r} begins like a module's name and is none")
