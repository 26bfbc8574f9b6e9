"""Links the firmware: all modules that are always needed become one, before mpy-cross.
`make build` does it.

Why: in MicroPython every module costs a dictionary, a table of names, and eight bytes for each
name it imports. A module imported inside a function is meant to be entered and left again and
stays a file of its own. What a name means does not change, only where it lives; the linked sources
are kept beside the .mpy files, so that a traceback's line can be read.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from hostsim.setup.scopes import GlobalNames, bound_here, imported_here, origins_here

ROOT_MODULE = "firmware.app"
_OWN = ("firmware", "board")


class LinkError(ValueError):
    """The sources cannot be linked; str() says where and why."""


@dataclass
class Unit:
    """One module: its statements, what it binds, and what its names mean elsewhere."""

    name: str
    body: list[ast.stmt]
    bound: set[str] = field(default_factory=set)
    modules: dict[str, str] = field(default_factory=dict)  # alias -> own module
    # alias -> (own module, its name)
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)
    constants: dict[str, int] = field(default_factory=dict)


def _is_typing(node: ast.stmt) -> bool:
    if (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    ):
        return True
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "TYPE_CHECKING"
    )


class _Strip(ast.NodeTransformer):
    """Without docstrings and annotations: they cost nothing in a .mpy, but they mention names."""

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        return self._body(node)

    def _body(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815
    visit_ClassDef = _body  # noqa: N815

    def visit_If(self, node: ast.If) -> ast.AST | None:  # noqa: N802
        return None if _is_typing(node) else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:  # noqa: N802
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], self.visit(node.value)), node)


def read(name: str, text: str, known: set[str]) -> Unit:
    """A module as the linker sees it; `known`: names of all own modules."""
    tree = _Strip().visit(ast.parse(text))
    body = [node for node in tree.body if not _is_typing(node)]
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    unit = Unit(name, body)
    for node in list(body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _OWN:
            body.remove(node)
            _import(unit, node, known)
    unit.bound = bound_here(body)
    _constants(unit)
    return unit


def _import(unit: Unit, node: ast.ImportFrom, known: set[str]) -> None:
    assert node.module
    for alias in node.names:
        whole = f"{node.module}.{alias.name}"
        if whole in known:
            unit.modules[alias.asname or alias.name] = whole
            unit.needs.append(whole)
        else:
            unit.names[alias.asname or alias.name] = (node.module, alias.name)
            unit.needs.append(node.module)


def _constants(unit: Unit) -> None:
    """Names given by const(): they are numbers wherever they are used."""
    for node in unit.body:
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        call, target = node.value, node.targets[0]
        if (
            isinstance(call.func, ast.Name)
            and call.func.id == "const"
            and isinstance(target, ast.Name)
        ):
            code = compile(ast.Expression(call.args[0]), unit.name, "eval")
            value = eval(code, {"__builtins__": {}}, dict(unit.constants))  # noqa: S307 - our own constants
            if isinstance(value, int):
                unit.constants[target.id] = int(value)


class Linker:
    """`texts`: module name to source, of everything of our own. `units()` gives what is to be
    compiled.
    """

    def __init__(self, texts: dict[str, str]) -> None:
        self._units = {name: read(name, text, set(texts)) for name, text in texts.items()}
        self._order: list[str] = []
        if ROOT_MODULE in self._units:
            self._visit(ROOT_MODULE, [])
        self._place: dict[tuple[str, str], str] = {}
        self._used: set[str] = set()
        self._allot()

    @property
    def order(self) -> list[str]:
        """The modules that become one, each behind those it needs."""
        return list(self._order)

    def _visit(self, name: str, path: list[str]) -> None:
        if name in path:
            raise LinkError("modules import each other: " + " -> ".join([*path, name]))
        if name in self._order or name not in self._units:
            return
        for need in self._units[name].needs:
            self._visit(need, [*path, name])
        self._order.append(name)

    def _allot(self) -> None:
        """A name for every global of the linked modules that no local variable can have:
        room__module__name.

        Classes keep theirs (logs show them), with a number where two want it.
        """
        self._check_externals()
        externals = {n for name in self._order for n in self._external(self._units[name])}
        self._used = set(externals)
        for name in self._order:
            unit = self._units[name]
            for bound in sorted(unit.bound - self._external(unit)):
                stem = bound if bound[0].isupper() else f"{name.replace('.', '__')}__{bound}"
                new, i = stem, 1
                while new in self._used:
                    i += 1
                    new = f"{stem}{i}"
                self._used.add(new)
                self._place[name, bound] = new

    def _check_externals(self) -> None:
        """Raises LinkError when a name that is imported from outside is one thing in one module
        and another in the next: in the linked unit it can be one only.
        """
        found: dict[str, tuple[set[str], str]] = {}
        for name in self._order:
            for alias, origins in origins_here(self._units[name].body).items():
                before, where = found.setdefault(alias, (origins, name))
                if before != origins:
                    both = f"{' or '.join(sorted(before))} in {where}"
                    raise LinkError(
                        f"{alias} is {both}, {' or '.join(sorted(origins))} in {name}: "
                        "import one of them under another name"
                    )

    @staticmethod
    def _external(unit: Unit) -> set[str]:
        """Names bound by plain imports from outside, the same in every module."""
        return imported_here(unit.body)

    def _meaning(self, module: str, name: str) -> str | None:
        """What `module.name` is in the linked unit; None: not there."""
        unit = self._units.get(module)
        if unit is None:
            return None
        if name in unit.constants:
            return repr(unit.constants[name])
        if name in unit.names:
            return self._meaning(*unit.names[name])
        return self._place.get((module, name))

    def _resolve(self, unit: Unit) -> GlobalNames:
        own = unit.name in self._order

        def replace(name: str) -> str | None:
            if name in unit.names:
                return self._meaning(*unit.names[name])
            if name in unit.constants:
                return repr(unit.constants[name])
            return self._place.get((unit.name, name)) if own else None

        def attribute(alias: str, name: str) -> str | None:
            return self._meaning(unit.modules[alias], name) if alias in unit.modules else None

        return GlobalNames(replace, attribute)

    def units(self) -> dict[str, ast.Module]:
        """Module name to tree: the linked one as ROOT_MODULE, the others as they are, rewired."""
        linked: list[ast.stmt] = []
        seen: set[str] = set()
        for name in self._order:
            unit = self._units[name]
            names = self._resolve(unit)
            for node in unit.body:
                if self._vanishes(unit, node, seen):
                    continue
                linked.append(self._rewire(names.visit(node)))
        result = {ROOT_MODULE: ast.Module(linked, [])} if linked else {}
        for name, unit in self._units.items():
            if name not in self._order:
                result[name] = self._alone(unit)
        return {name: ast.fix_missing_locations(tree) for name, tree in result.items()}

    def _vanishes(self, unit: Unit, node: ast.stmt, seen: set[str]) -> bool:
        if isinstance(node, ast.Import | ast.ImportFrom):
            text = ast.unparse(node)
            if text in seen or text == "from micropython import const":
                return True
            seen.add(text)
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        return isinstance(target, ast.Name) and target.id in unit.constants

    def _rewire(self, node: ast.stmt) -> ast.stmt:
        """Imports of linked modules inside functions lead to the linked one."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.ImportFrom):
                for alias in inner.names:
                    if f"{inner.module}.{alias.name}" in self._order:
                        raise LinkError(
                            f"import of the linked module {inner.module}.{alias.name} inside a "
                            "function: import what is needed of it"
                        )
            if isinstance(inner, ast.ImportFrom) and inner.module in self._order:
                for alias in inner.names:
                    new = self._meaning(inner.module, alias.name)
                    if new is None or not new.isidentifier():
                        raise LinkError(
                            f"import of {alias.name} from {inner.module} inside a function"
                        )
                    alias.asname, alias.name = alias.asname or alias.name, new
                inner.module = ROOT_MODULE
        return node

    def _alone(self, unit: Unit) -> ast.Module:
        """A module that is entered and left: it imports from linked ones what it needs."""
        names = self._resolve(unit)
        body: list[ast.stmt] = [
            self._rewire(names.visit(node))
            for node in unit.body
            if not self._vanishes(unit, node, set())
        ]
        wanted: set[str] = set()
        for node in ast.walk(ast.Module(body, [])):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                wanted.add(node.id)
        places = {new for (_, _), new in self._place.items()}
        needed = {
            new
            for alias, (module, name) in unit.names.items()
            if (new := self._meaning(module, name)) is not None and new.isidentifier()
        } | {
            new
            for module in unit.modules.values()
            if module in self._order
            for (m, _), new in self._place.items()
            if m == module
        }
        imports: list[ast.stmt] = []
        linked = sorted(needed & wanted & places)
        if linked:
            imports.append(ast.ImportFrom(ROOT_MODULE, [ast.alias(n) for n in linked], 0))
        imports += [node for node in self._own_imports(unit)]
        return ast.Module(imports + body, [])

    def _own_imports(self, unit: Unit) -> list[ast.stmt]:
        """Imports among modules that stay alone."""
        found: list[ast.stmt] = []
        for alias, module in unit.modules.items():
            if module not in self._order:
                package, _, last = module.rpartition(".")
                found.append(
                    ast.ImportFrom(package, [ast.alias(last, None if alias == last else alias)], 0)
                )
        for alias, (module, name) in unit.names.items():
            if (
                module in self._units
                and module not in self._order
                and name not in self._units[module].constants
            ):
                found.append(
                    ast.ImportFrom(module, [ast.alias(name, None if alias == name else alias)], 0)
                )
        return found
