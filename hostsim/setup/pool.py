"""Puts the words of what is raised into one text, from which they are cut when they are needed: on
a charger every text that is always there is an object of its own, 20 bytes from ROMFS and twice
that and its letters in RAM.

Taken are texts that stand in `raise` statements of the linked unit only, and f-strings there
(MicroPython makes them calls of format anyway). Short texts stay: the interpreter keeps those
once.
"""

from __future__ import annotations

import ast
from collections import Counter

from hostsim.setup.link import ROOT_MODULE
from hostsim.setup.literal import INTERNED

_NAME = "firmware__setup__pool"


def pool(units: dict[str, ast.Module]) -> int:
    """In place; how many texts went into one."""
    tree = units.get(ROOT_MODULE)
    if tree is None:
        return 0
    raised = [n for n in ast.walk(tree) if isinstance(n, ast.Raise)]
    for node in raised:
        _Formats().visit(node)
    everywhere = Counter(_texts(tree))
    inside = Counter(text for node in raised for text in _texts(node))
    chosen = sorted(
        (t for t, n in inside.items() if n == everywhere[t] and len(t) > INTERNED and t.isascii()),
        key=lambda t: (-len(t), t),
    )
    if not chosen:
        return 0
    whole = ""
    places: dict[str, int] = {}
    for text in chosen:
        if text not in whole:
            whole += text
        places[text] = whole.index(text)
    cut = _Cut(places)
    for node in raised:
        cut.visit(node)
    first = next(i for i, n in enumerate(tree.body) if not isinstance(n, ast.Import))
    tree.body.insert(first, ast.Assign([ast.Name(_NAME, ast.Store())], ast.Constant(whole)))
    ast.fix_missing_locations(tree)
    return len(chosen)


def _texts(node: ast.AST) -> list[str]:
    return [
        n.value
        for n in ast.walk(node)
        if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]


class _Formats(ast.NodeTransformer):
    """f-strings as calls of format."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:  # noqa: N802
        text = ""
        given: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value).replace("{", "{{").replace("}", "}}")
                continue
            assert isinstance(part, ast.FormattedValue)
            spec = ""
            if part.format_spec is not None:
                words = getattr(part.format_spec, "values", [])
                if part.conversion != -1 or any(not isinstance(w, ast.Constant) for w in words):
                    return node
                spec = ":" + "".join(w.value for w in words)
            elif part.conversion != -1:
                return node
            text += "{" + spec + "}"
            given.append(part.value)
        if not given:
            return node
        return ast.Call(ast.Attribute(ast.Constant(text), "format", ast.Load()), given, [])


class _Cut(ast.NodeTransformer):
    def __init__(self, places: dict[str, int]) -> None:
        self._places = places

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:  # noqa: N802
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:  # noqa: N802
        at = self._places.get(node.value) if isinstance(node.value, str) else None
        if at is None:
            return node
        cut = ast.Slice(ast.Constant(at), ast.Constant(at + len(str(node.value))))
        return ast.Subscript(ast.Name(_NAME, ast.Load()), cut, ast.Load())
