"""Leaves out of the linked firmware what nothing in it mentions: a function, method or class that
waits for a later caller.

Only names are looked at: something is kept as soon as any code mentions its name outside its own
body, a getattr might, or MicroPython or a library might call it. Repeated until nothing more
falls.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from hostsim.setup.rename import foreign_names, spoken_prefixes, spoken_words

_Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def shake(units: dict[str, ast.Module]) -> list[str]:
    """Removes in place; the names of what went."""
    gone: list[str] = []
    kept = foreign_names() | _asked_by_text(units)
    prefixes = spoken_prefixes(spoken_words(units.values()))
    while True:
        mentions = Counter(name for tree in units.values() for name in _mentions(tree))
        fallen = [
            (owner, node)
            for tree in units.values()
            for owner, node in _definitions(tree)
            if not node.name.startswith("__")
            and node.name not in kept
            and not (prefixes and node.name.startswith(prefixes))
            and mentions[node.name] == Counter(_mentions(node))[node.name]
        ]
        if not fallen:
            return gone
        for owner, node in fallen:
            owner.body.remove(node)
            if not owner.body:
                owner.body.append(ast.Pass())
            gone.append(node.name)


def _asked_by_text(units: dict[str, ast.Module]) -> set[str]:
    """Texts in calls of getattr and its like."""
    return {
        inner.value
        for tree in units.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.endswith("attr")
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    }


def _definitions(tree: ast.Module) -> Iterator[tuple[ast.Module | ast.ClassDef, _Defined]]:
    for node in tree.body:
        if isinstance(node, _Defined):
            yield tree, node
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node, inner


def _mentions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.name
