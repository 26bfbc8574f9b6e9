"""Puts a function that is called at one place only into that place: on a charger it costs some 84
bytes of heap beyond its bytecode, wherever its code lies.

A function is taken when its name is defined once and mentioned once in everything that is linked,
and that mention is a statement of its own in the same module: `f(a)`, `x = f(a)`, `return f(a)`,
each with an await when it is a coroutine; of a method as well `self.f(a)` and `other.f(a)`, which
can only be this one. A function that is one expression may be called inside another expression.
What is evaluated, and in which order, does not change. A traceback names the function that the
code now lies in; `names.json` beside the linked sources says which that is.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from hostsim.setup.inline_body import NotPossibleError, is_self, locals_of, moved
from hostsim.setup.rename import foreign_names, spoken_prefixes, spoken_words
from hostsim.setup.scopes import COMPREHENSIONS

_Def = ast.FunctionDef | ast.AsyncFunctionDef
_DEFS = (ast.FunctionDef, ast.AsyncFunctionDef)
# what makes a function one of its own: scopes of its own, generators, imports, names of globals
_APART = (
    *_DEFS, ast.Lambda, ast.ClassDef, *COMPREHENSIONS, ast.Yield, ast.YieldFrom, ast.Import,
    ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Delete, ast.NamedExpr,
)  # fmt: skip


@dataclass
class _Known:
    """How often each name is mentioned, defined and stored in all units, and what may not be
    touched.
    """

    mentions: Counter[str]
    defined: Counter[str]
    stored: set[str]
    kept: frozenset[str]
    prefixes: tuple[str, ...]

    def once(self, node: _Def) -> bool:
        """It has one caller, and nobody asks for it by text."""
        name = node.name
        return (
            self.mentions[name] == 1
            and self.defined[name] == 1
            and name not in self.stored
            and name not in self.kept
            and not name.startswith("__")
            and not (self.prefixes and name.startswith(self.prefixes))
            and not node.decorator_list
        )


def inline(units: dict[str, ast.Module]) -> dict[str, str]:
    """Changes the units in place; what went where: function to the function it lies in now."""
    known = _know(units)
    done: dict[str, str] = {}
    for tree in units.values():
        calls = _Calls()
        for owner in [n for n in tree.body if isinstance(n, ast.ClassDef)] + [tree]:
            again = True
            while again:
                again = False
                for node in [n for n in owner.body if isinstance(n, _DEFS) and known.once(n)]:
                    where = _into_caller(tree, node, owner is not tree, calls)
                    if where:
                        owner.body.remove(node)
                        done[node.name] = where
                        again = True
            if not owner.body:
                owner.body.append(ast.Pass())
        ast.fix_missing_locations(tree)
    return done


def _know(units: dict[str, ast.Module]) -> _Known:
    mentions: Counter[str] = Counter()
    defined: Counter[str] = Counter()
    stored: set[str] = set()
    for tree in units.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                mentions[node.id] += 1
            elif isinstance(node, ast.Attribute):
                mentions[node.attr] += 1
                if not isinstance(node.ctx, ast.Load):
                    stored.add(node.attr)
            elif isinstance(node, ast.alias):
                mentions[node.name] += 1
            elif isinstance(node, (*_DEFS, ast.ClassDef)):
                defined[node.name] += 1
            elif isinstance(node, ast.keyword) and node.arg:
                stored.add(node.arg)
            elif isinstance(node, ast.arg):
                stored.add(node.arg)
    spoken = spoken_words(units.values())
    kept = foreign_names() | spoken
    prefixes = spoken_prefixes(spoken)
    return _Known(mentions, defined, stored, kept, prefixes)


def _into_caller(tree: ast.Module, node: _Def, method: bool, calls: _Calls) -> str:
    """Puts it into the function that calls it; that one's name, "" when it must stay."""
    for caller in _callers(tree):
        found = calls.of(caller).get(node.name) if caller is not node else None
        if found is None:
            continue
        block, statement = found
        call = _call_in(statement, node.name)
        assert call is not None
        try:
            _check(caller, node, call, method)
            block[_place(block, statement)] = moved(caller, node, statement, call, method)
        except NotPossibleError:
            return ""
        calls.changed(caller)
        return caller.name
    return ""


class _Calls:
    """Which statement of a function calls a name first: looked for once, and again in a function
    that was changed.
    """

    def __init__(self) -> None:
        self._known: dict[_Def, dict[str, tuple[list[ast.stmt], ast.stmt]]] = {}

    def of(self, caller: _Def) -> dict[str, tuple[list[ast.stmt], ast.stmt]]:
        """Called name, to the block and the statement in it."""
        found = self._known.get(caller)
        if found is None:
            found = self._known[caller] = {}
            for block in _blocks(caller):
                for statement in block:
                    for call in _calls_in(statement):
                        found.setdefault(_called(call), (block, statement))
        return found

    def changed(self, caller: _Def) -> None:
        """Its statements are others now."""
        del self._known[caller]


def _place(block: list[ast.stmt], statement: ast.stmt) -> slice:
    at = next(n for n, one in enumerate(block) if one is statement)
    return slice(at, at + 1)


def _callers(tree: ast.Module) -> Iterator[_Def]:
    for node in tree.body:
        if isinstance(node, _DEFS):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from (inner for inner in node.body if isinstance(inner, _DEFS))


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every list of statements in a function, without those of functions inside it."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
            for statement in block:
                if not isinstance(statement, (*_DEFS, ast.ClassDef)):
                    yield from _blocks(statement)
    for handler in getattr(node, "handlers", ()):
        yield from _blocks(handler)


def _call_in(statement: ast.stmt, name: str) -> ast.Call | None:
    """The call of `name` in a statement's own expressions."""
    return next((call for call in _calls_in(statement) if _called(call) == name), None)


def _called(call: ast.Call) -> str:
    f = call.func
    return f.id if isinstance(f, ast.Name) else f.attr if isinstance(f, ast.Attribute) else ""


def _calls_in(statement: ast.stmt) -> Iterator[ast.Call]:
    todo: list[ast.AST] = [
        child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr)
    ]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call):
            yield node
        if not isinstance(node, (ast.Lambda, *COMPREHENSIONS)):
            todo.extend(ast.iter_child_nodes(node))


def _check(caller: _Def, node: _Def, call: ast.Call, method: bool) -> None:
    """Raises NotPossibleError unless the call is plain and no name means another thing there."""
    f, args = call.func, node.args
    if method != isinstance(f, ast.Attribute):
        raise NotPossibleError
    if method and not _has_self(node):
        raise NotPossibleError
    if method and isinstance(f, ast.Attribute) and is_self(f.value) and not _has_self(caller):
        raise NotPossibleError
    if args.vararg or args.kwarg or args.kwonlyargs or args.posonlyargs:
        raise NotPossibleError
    if any(isinstance(a, ast.Starred) for a in call.args) or any(not k.arg for k in call.keywords):
        raise NotPossibleError
    if any(isinstance(n, _APART) for statement in node.body for n in ast.walk(statement)):
        raise NotPossibleError
    if any(isinstance(n, ast.Name) and n.id == "super" for s in node.body for n in ast.walk(s)):
        raise NotPossibleError
    if any(isinstance(n, (ast.Lambda, *_DEFS)) for s in caller.body for n in ast.walk(s)):
        raise NotPossibleError  # its locals may be another function's, too
    ours = locals_of(node)
    globals_ = {
        n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name)
    } - ours  # fmt: skip
    if (globals_ - {"self"}) & locals_of(caller):
        raise NotPossibleError


def _has_self(node: _Def) -> bool:
    return bool(node.args.args) and node.args.args[0].arg == "self" and not any(
        isinstance(n, ast.Name) and n.id == "self" and not isinstance(n.ctx, ast.Load)
        for n in ast.walk(node)
    )  # fmt: skip
