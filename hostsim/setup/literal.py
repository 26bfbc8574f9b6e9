"""Puts what a name of a module always means into the places that mention it: a number, a text,
bytes, or a tuple of them. A charger then keeps no such name in the module's dictionary.

A name is taken when its module assigns it once, at its top, and nothing else binds it. mpy-cross
keeps equal constants of a module once, so that nothing is there twice. It stays where identity is
asked for (`is`), where another module asks for it by attribute or inside a function, and, unless
it is a number or a short text, where another module imports it.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterable, Iterator

from hostsim.setup.scopes import arguments

INTERNED = 10
"""MicroPython keeps texts of up to so many characters once for all modules."""


def literal(units: dict[str, ast.Module]) -> list[str]:
    """In place; the names that went."""
    gone: list[str] = []
    asked = {
        n.attr for tree in units.values() for n in ast.walk(tree) if isinstance(n, ast.Attribute)
    }
    imports = _imports(units.values())
    for module, tree in units.items():
        found = _constants(tree, asked)
        importers = imports.get(module, {})
        for name in _kept(importers, found):
            found.pop(name, None)
        if not found:
            continue
        tree.body = [n for n in tree.body if _assigned(n) not in found]
        _Put(found).visit(tree)
        for other, nodes in importers.items():
            taken = _taken(other, nodes, found)
            if taken:
                _Put(taken).visit(other)
        gone += sorted(found)
    for tree in units.values():
        ast.fix_missing_locations(tree)
    return gone


def _assigned(node: ast.stmt) -> str:
    """The name that a plain assignment binds, else ""."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        return target.id if isinstance(target, ast.Name) else ""
    return ""


def _constants(tree: ast.Module, asked: set[str]) -> dict[str, ast.expr]:
    bound = Counter(_bound(tree))
    identity = {
        n.id
        for compare in ast.walk(tree)
        if isinstance(compare, ast.Compare)
        and any(isinstance(op, ast.Is | ast.IsNot) for op in compare.ops)
        for n in ast.walk(compare)
        if isinstance(n, ast.Name)
    }
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        name = _assigned(node)
        if not name or bound[name] != 1 or name in identity or name in asked:
            continue
        assert isinstance(node, ast.Assign)
        value = _Put(found).visit(copy.deepcopy(node.value))
        if isinstance(value, ast.Call) and ast.unparse(value.func) == "const":
            value = value.args[0]
        if _is_constant(value):
            found[name] = value
    return found


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return all(_is_constant(part) for part in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
        return isinstance(node, ast.Constant) and type(node.value) is int
    return isinstance(node, ast.Constant) and type(node.value) in (int, str, bytes)


def _bound(tree: ast.Module) -> Iterator[str]:
    """Every name that is bound anywhere in it, as often as it is."""
    for n in ast.walk(tree):
        if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load):
            yield n.id
        elif isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (a.arg for a in arguments(n))
            yield getattr(n, "name", "")
        elif isinstance(n, ast.ClassDef | ast.ExceptHandler):
            yield n.name or ""
        elif isinstance(n, ast.alias):
            yield (n.asname or n.name).split(".")[0]
        elif isinstance(n, ast.Global | ast.Nonlocal):
            yield from n.names


_Importers = dict[ast.Module, list[ast.ImportFrom]]


def _imports(trees: Iterable[ast.Module]) -> dict[str, _Importers]:
    """By the module that is imported from: who does, and where."""
    found: dict[str, _Importers] = {}
    for tree in trees:
        for n in ast.walk(tree):
            if isinstance(n, ast.ImportFrom) and n.module:
                found.setdefault(n.module, {}).setdefault(tree, []).append(n)
    return found


def _kept(importers: _Importers, found: dict[str, ast.expr]) -> Iterable[str]:
    """Names of `found` that another module needs as they are."""
    kept: set[str] = set()
    for tree, nodes in importers.items():
        asked = [(node, alias) for node in nodes for alias in node.names if alias.name in found]
        bound = Counter(_bound(tree)) if asked else Counter[str]()
        for node, alias in asked:
            many = bound[alias.name] != 1
            small = _is_small(found[alias.name])
            if alias.asname or many or node not in tree.body or not small:
                kept.add(alias.name)
    return kept


def _is_small(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (
        type(node.value) is int or (type(node.value) is str and len(node.value) <= INTERNED)
    )


def _taken(
    tree: ast.Module, nodes: list[ast.ImportFrom], found: dict[str, ast.expr]
) -> dict[str, ast.expr]:
    """What of `found` the module imports; it imports it no more."""
    taken: dict[str, ast.expr] = {}
    for node in nodes:
        for alias in [alias for alias in node.names if alias.name in found]:
            taken[alias.name] = found[alias.name]
            node.names.remove(alias)
            if not node.names:
                tree.body.remove(node)
    return taken


class _Put(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
        value = self._values.get(node.id) if isinstance(node.ctx, ast.Load) else None
        return node if value is None else copy.deepcopy(value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:  # noqa: N802
        """A text in an f-string becomes part of it."""
        self.generic_visit(node)
        parts: list[ast.expr] = []
        for part in node.values:
            value = part
            if (
                isinstance(part, ast.FormattedValue)
                and part.conversion == -1
                and part.format_spec is None
                and isinstance(part.value, ast.Constant)
            ):
                value = ast.Constant(str(part.value.value))
            parts.append(value)
        node.values = parts
        return node
