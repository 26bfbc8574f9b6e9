"""Short names for the linked firmware: MicroPython keeps every distinct identifier in RAM for
ever.

An attribute that is defined in our own classes, and by nobody else, can share a short name with
attributes of classes it never meets: they are coloured like a map. A parameter that nobody gives
by name becomes a letter. A function of the linked unit gets a name that the interpreter has
anyway (known.py), or a short one. Left alone: what a library or MicroPython defines (its stubs are
read), what is set from outside its class, what any text in the code mentions (getattr, record
fields, configuration), and class names, which logs show. `names.json` beside the linked sources
says what became what.
"""

from __future__ import annotations

import ast
import builtins
import itertools
import re
import string
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from hostsim.setup import LIB, TYPINGS
from hostsim.setup.known import KNOWN
from hostsim.setup.link import ROOT_MODULE, LinkError
from hostsim.setup.scopes import (
    COMPREHENSIONS,
    GlobalNames,
    arguments,
    bound_here,
    imported_here,
    modules_here,
)

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_DEF = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def foreign_names() -> frozenset[str]:
    """Every name that MicroPython's stubs and the libraries on the device mention, and Python's
    own.
    """
    found = set(dir(builtins))
    for kind in (
        str,
        bytes,
        bytearray,
        memoryview,
        list,
        dict,
        set,
        tuple,
        int,
        BaseException,
        object,
        property,
        type,
    ):
        found.update(dir(kind))
    if not any(TYPINGS.rglob("*.pyi")) or not any(LIB.rglob("*.py")):
        raise LinkError(f"MicroPython's stubs are missing in {TYPINGS} or {LIB}: run `make setup`")
    files = [*TYPINGS.rglob("*.pyi"), *LIB.rglob("*.py")]
    for path in files:
        found.update(_defined(path))
    return frozenset(found)


def _defined(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(errors="replace"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


def rename(units: dict[str, ast.Module]) -> dict[str, str]:
    """Renames in place; what became what (attributes, then functions of the linked unit)."""
    spoken = spoken_words(units.values())
    keywords = {
        n.arg
        for tree in units.values()
        for n in ast.walk(tree)
        if isinstance(n, ast.keyword) and n.arg
    }
    given = called_with_dicts(units)
    attributes = _attributes(units, spoken)
    for tree in units.values():
        _Attributes(attributes, set(units)).visit(tree)
        for node in ast.walk(tree):
            if isinstance(node, _DEF) and node not in given:
                _parameters(node, keywords | {"self", "cls"})
    return attributes | _functions(units, spoken)


def called_with_dicts(units: dict[str, ast.Module]) -> set[_DEF]:
    """Functions that may be called as `f(**names)`: the names of their parameters may stand in
    data, so they stay. Raises LinkError where it cannot be seen which function is called.
    """
    found: dict[str, set[_DEF]] = {}
    for tree in units.values():
        for node in ast.walk(tree):
            if isinstance(node, _DEF):
                found.setdefault(node.name, set()).add(node)
            elif isinstance(node, ast.ClassDef):
                inits = {n for n in node.body if isinstance(n, _DEF) and n.name == "__init__"}
                found.setdefault(node.name, set()).update(inits)
    kept: set[_DEF] = set()
    for where, tree in units.items():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and any(k.arg is None for k in node.keywords)):
                continue
            f = node.func
            name = f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")
            if name not in found and name not in foreign_names():
                raise LinkError(f"{where}: {ast.unparse(node)}: which function is called here?")
            kept |= found.get(name, set())
    return kept


def spoken_words(trees: Iterable[ast.Module]) -> set[str]:
    """Words in texts; a text that ends with an underscore speaks of everything that begins like
    it.
    """
    words: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.update(_WORD.findall(node.value))
                words.update(
                    word.replace(".", "_") for word in re.findall(r"[a-z_.]+", node.value)
                )
    return words


def spoken_prefixes(spoken: set[str]) -> tuple[str, ...]:
    """Beginnings of names that are put together at run time, such as "_on_"."""
    return tuple(
        word for word in spoken if word.startswith("_") and word.endswith("_") and len(word) > 2
    )


# --- attributes --------------------------------------------------------------


def _attributes(units: dict[str, ast.Module], spoken: set[str]) -> dict[str, str]:
    classes = [n for tree in units.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    members = {node.name: _members(node) for node in classes}
    prefixes = spoken_prefixes(spoken)
    outside = {
        n.attr
        for tree in units.values()
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and not _on_self(n)
    }
    kept = foreign_names() | spoken
    ours = {
        name
        for names in members.values()
        for name in names
        if name not in kept
        and not name.startswith("__")
        and not (prefixes and name.startswith(prefixes))
    }
    ours &= _bound(classes)
    groups = _families(classes, members)
    meets: dict[str, set[str]] = {name: set() for name in ours}
    for group in groups:
        inside = group & ours
        for name in inside:
            meets[name] |= inside
    for name in outside & ours:  # set from elsewhere: it may meet anything
        meets[name] |= ours
        for other in ours:
            meets[other].add(name)
    return _colour(meets, kept)


def _on_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _members(node: ast.ClassDef) -> set[str]:
    found = bound_here(node.body)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and _on_self(inner):
            found.add(inner.attr)
    return found


def _bound(classes: list[ast.ClassDef]) -> set[str]:
    """Names that some class of ours defines: methods, class variables, attributes it sets."""
    found: set[str] = set()
    for node in classes:
        found |= bound_here(node.body)
        found |= {
            n.attr
            for n in ast.walk(node)
            if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and _on_self(n)
        }
    return found


def _families(classes: list[ast.ClassDef], members: dict[str, set[str]]) -> list[set[str]]:
    """Members of classes that inherit from each other, joined."""
    parent = {name: name for name in members}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in classes:
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in parent:
                parent[root(node.name)] = root(base.id)
    families: dict[str, set[str]] = {}
    for name, names in members.items():
        families.setdefault(root(name), set()).update(names)
    return list(families.values())


def _colour(meets: dict[str, set[str]], taken: Iterable[str]) -> dict[str, str]:
    """A short name for each, shared by names that never meet; the most crowded first."""
    kept = set(taken)
    colours: dict[str, str] = {}
    for name in sorted(meets, key=lambda n: (-len(meets[n]), n)):
        near = {colours[other] for other in meets[name] if other in colours}
        colours[name] = next(
            short for short in _shorts() if short not in near and short not in kept
        )
    return colours


def _shorts() -> Iterator[str]:
    for length in (1, 2):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield "".join(letters) + "_"


class _Attributes(ast.NodeTransformer):
    """Renames attributes and methods, but not what is asked of a module."""

    def __init__(self, names: dict[str, str], modules: set[str]) -> None:
        self._names = names
        self._modules = modules
        # (bound by import, bound otherwise) per scope
        self._imports: list[tuple[set[str], set[str]]] = []

    def _scope(self, node: ast.AST, body: list[ast.stmt], extra: set[str]) -> ast.AST:
        imported = modules_here(body, self._modules)
        self._imports.append((imported, (bound_here(body) - imported) | extra))
        self.generic_visit(node)
        self._imports.pop()
        return node

    def visit_Module(self, node: ast.Module) -> ast.AST:  # noqa: N802
        return self._scope(node, node.body, set())

    def _function(self, node: _DEF) -> ast.AST:
        return self._scope(node, node.body, {a.arg for a in arguments(node)})

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:  # noqa: N802
        for statement in node.body:
            if isinstance(statement, _DEF):
                statement.name = self._names.get(statement.name, statement.name)
            for n in ast.walk(statement) if isinstance(statement, ast.Assign) else ():
                if isinstance(n, ast.Name):  # a class variable, or a method under a second name
                    n.id = self._names.get(n.id, n.id)
        self.generic_visit(node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # noqa: N802
        self.generic_visit(node)
        if not (isinstance(node.value, ast.Name) and self._is_module(node.value.id)):
            node.attr = self._names.get(node.attr, node.attr)
        return node

    def _is_module(self, name: str) -> bool:
        for imported, bound in reversed(self._imports):
            if name in imported:
                return True
            if name in bound:
                return False
        return False


# --- parameters --------------------------------------------------------------


def _parameters(function: _DEF, keep: set[str]) -> None:
    """Letters for the parameters of a function that holds no other."""
    inside = [n for statement in function.body for n in ast.walk(statement)]
    if any(isinstance(n, _SCOPES) for n in inside):
        return
    names = [n for n in inside if isinstance(n, ast.Name)]
    targets = {
        t.id
        for n in inside
        if isinstance(n, COMPREHENSIONS)
        for g in n.generators
        for t in ast.walk(g.target)
        if isinstance(t, ast.Name)
    }
    taken = {n.id for n in names} | {a.arg for a in arguments(function)}
    letters = (letter for letter in string.ascii_lowercase if letter not in taken)
    args = [*function.args.posonlyargs, *function.args.args]
    for argument in args:
        old = argument.arg
        if old in keep or old in targets or len(old) == 1:
            continue
        argument.arg = next(letters)
        for name in names:
            if name.id == old:
                name.id = argument.arg


# --- functions of the linked unit --------------------------------------------


def _functions(units: dict[str, ast.Module], spoken: set[str]) -> dict[str, str]:
    tree = units.get(ROOT_MODULE)
    if tree is None:
        return {}
    imported = imported_here(tree.body)
    classes = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
    bound = bound_here(tree.body) - imported - classes
    taken = {name for unit in units.values() for name in _any_names(unit)}
    free = (short for short in itertools.chain(KNOWN, _shorts()) if short not in taken)
    ours = {name: next(free) for name in sorted(bound) if not name.startswith("__")}
    names = GlobalNames(ours.get, lambda module, name: None)
    tree.body = [names.visit(node) for node in tree.body]
    for unit in units.values():
        _follow(unit, ours)
        if unit is not tree:
            _private(unit)
    return ours


def _any_names(unit: ast.Module) -> Iterator[str]:
    """What any scope of it may bind: an import must not hide behind a local of the same name."""
    for n in ast.walk(unit):
        if isinstance(n, ast.Name):
            yield n.id
        elif isinstance(n, _DEF | ast.Lambda):
            yield from (a.arg for a in arguments(n))
            yield getattr(n, "name", "")
        elif isinstance(n, ast.ClassDef | ast.ExceptHandler):
            yield n.name or ""
        elif isinstance(n, ast.alias):
            yield (n.asname or n.name).split(".")[0]


def _private(unit: ast.Module) -> None:
    """Private globals of a module that stays apart: nobody else knows them."""
    bound = bound_here(unit.body) - imported_here(unit.body)
    taken = {n.id for n in ast.walk(unit) if isinstance(n, ast.Name)} | {
        a.arg for n in ast.walk(unit) if isinstance(n, _DEF) for a in arguments(n)
    }
    free = (short for short in _shorts() if short not in taken)
    ours = {
        name: next(free)
        for name in sorted(bound)
        if name.startswith("_") and not name.startswith("__")
    }
    names = GlobalNames(ours.get, lambda module, name: None)
    unit.body = [names.visit(node) for node in unit.body]


def _follow(unit: ast.Module, ours: dict[str, str]) -> None:
    """What a module takes from the linked unit has the name it has there."""
    taken: dict[str, str] = {}
    for node in [
        n for n in ast.walk(unit) if isinstance(n, ast.ImportFrom) and n.module == ROOT_MODULE
    ]:
        for alias in node.names:
            if alias.name in ours:
                if node in unit.body and alias.asname is None:
                    taken[alias.name] = ours[alias.name]
                alias.name = ours[alias.name]
    names = GlobalNames(taken.get, lambda module, name: None)
    unit.body = [names.visit(node) for node in unit.body]
