"""What a name means where it stands: enough of Python's scope rules to rename things safely."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def bound_here(body: list[ast.stmt]) -> set[str]:
    """Names that statements bind in their own scope (not in functions and classes below it)."""
    names: set[str] = set()
    globals_: set[str] = set()
    for node in _same_scope(body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.Global):
            globals_.update(node.names)
    return names - globals_


def imported_here(body: list[ast.stmt]) -> set[str]:
    """Names that import statements bind in this scope, wherever they stand in it."""
    return {
        (alias.asname or alias.name).split(".")[0]
        for node in _same_scope(body)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def origins_here(body: list[ast.stmt]) -> dict[str, set[str]]:
    """What the names that import statements bind in this scope are: `time`, or `time.sleep`; more
    than one where a name is imported from here or there.
    """
    found: dict[str, set[str]] = {}
    for node in _same_scope(body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                whole = alias.name if alias.asname else first
                found.setdefault(alias.asname or first, set()).add(whole)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.setdefault(alias.asname or alias.name, set()).add(whole)
    return found


def modules_here(body: list[ast.stmt], own: set[str]) -> set[str]:
    """Names that imports of this scope bind to modules: everything from outside counts as one, of
    our own what is.
    """
    found: set[str] = set()
    for node in _same_scope(body):
        if isinstance(node, ast.Import):
            found.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            ours = (node.module or "").split(".")[0] in ("firmware", "board")
            found.update(
                alias.asname or alias.name
                for alias in node.names
                if not ours or f"{node.module}.{alias.name}" in own
            )
    return found


def _same_scope(body: list[ast.stmt]) -> Iterator[ast.AST]:
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            todo.extend(node.decorator_list)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, COMPREHENSIONS):
            todo.append(node.generators[0].iter)
            continue
        todo.extend(ast.iter_child_nodes(node))


def arguments(node: Function) -> list[ast.arg]:
    a = node.args
    return [
        *a.posonlyargs,
        *a.args,
        *a.kwonlyargs,
        *([a.vararg] if a.vararg else []),
        *([a.kwarg] if a.kwarg else []),
    ]


class GlobalNames(ast.NodeTransformer):
    """Replaces every mention of a module's global name: `replace(name)` gives the new node's text
    or None.

    Attributes of modules are offered too: `attribute(module name, attribute)`.
    """

    def __init__(
        self, replace: Callable[[str], str | None], attribute: Callable[[str, str], str | None]
    ) -> None:
        self._replace = replace
        self._attribute = attribute
        self._scopes: list[tuple[bool, set[str]]] = []  # (is a class, names)

    def _local(self, name: str) -> bool:
        top = len(self._scopes) - 1
        return any(
            name in names
            for i, (is_class, names) in enumerate(self._scopes)
            if not is_class or i == top
        )

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
        if not self._local(node.id) and (new := self._replace(node.id)) is not None:
            if new.isidentifier():
                return ast.copy_location(ast.Name(new, node.ctx), node)
            return ast.copy_location(ast.parse(new, mode="eval").body, node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # noqa: N802
        if isinstance(node.value, ast.Name) and not self._local(node.value.id):
            new = self._attribute(node.value.id, node.attr)
            if new is not None:
                return ast.copy_location(ast.parse(new, mode="eval").body, node)
        self.generic_visit(node)
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:  # noqa: N802
        node.names = [self._replace(name) or name for name in node.names]
        return node

    def _function(self, node: Function) -> ast.AST:
        args = node.args
        args.defaults = [self.visit(d) for d in args.defaults]
        args.kw_defaults = [d and self.visit(d) for d in args.kw_defaults]
        body: list[ast.stmt] = node.body if isinstance(node.body, list) else [ast.Expr(node.body)]
        if not isinstance(node, ast.Lambda):
            node.decorator_list = [self.visit(d) for d in node.decorator_list]
        self._scopes.append((False, bound_here(body) | {a.arg for a in arguments(node)}))
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.body = [self.visit(s) for s in node.body]
        self._scopes.pop()
        if not isinstance(node, ast.Lambda) and not self._local(node.name):
            node.name = self._replace(node.name) or node.name
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:  # noqa: N802
        node.bases = [self.visit(b) for b in node.bases]
        self._scopes.append((True, bound_here(node.body)))
        node.body = [self.visit(s) for s in node.body]
        self._scopes.pop()
        if not self._local(node.name):
            node.name = self._replace(node.name) or node.name
        return node

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> ast.AST:
        node.generators[0].iter = self.visit(node.generators[0].iter)
        targets = {
            n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)
        }
        self._scopes.append((False, targets))
        for i, generator in enumerate(node.generators):
            if i:
                generator.iter = self.visit(generator.iter)
            generator.ifs = [self.visit(test) for test in generator.ifs]
        if isinstance(node, ast.DictComp):
            node.key, node.value = self.visit(node.key), self.visit(node.value)
        else:
            node.elt = self.visit(node.elt)
        self._scopes.pop()
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815
