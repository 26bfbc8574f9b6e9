"""A function's body as statements of its only caller (inline.py): its names become names the
caller does not have, its returns what the caller wanted of them.
"""

from __future__ import annotations

import ast
import copy

from hostsim.setup.scopes import COMPREHENSIONS, arguments, bound_here

_Def = ast.FunctionDef | ast.AsyncFunctionDef
_LOOPS = (ast.While, ast.For, ast.AsyncFor)


class NotPossibleError(ValueError):
    """This function stays where it is."""


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def locals_of(node: _Def) -> set[str]:
    inner = {
        t.id
        for s in node.body
        for n in ast.walk(s)
        if isinstance(n, COMPREHENSIONS)
        for g in n.generators
        for t in ast.walk(g.target)
        if isinstance(t, ast.Name)
    }
    return bound_here(node.body) | {a.arg for a in arguments(node)} | inner


# --- the body in its new place ---------------------------------------------------------------


def moved(
    caller: _Def, node: _Def, statement: ast.stmt, call: ast.Call, method: bool
) -> list[ast.stmt]:
    awaited = isinstance(node, ast.AsyncFunctionDef)
    inner: ast.expr = call
    whole = getattr(statement, "value", None)
    if awaited:
        if not (isinstance(whole, ast.Await) and whole.value is call):
            raise NotPossibleError
        inner = whole
    if whole is inner and isinstance(statement, (ast.Expr, ast.Return, ast.Assign)):
        return _as_statements(caller, node, statement, call, method)
    if awaited or len(node.body) != 1 or not isinstance(node.body[0], ast.Return):
        raise NotPossibleError
    return [_as_expression(caller, node, statement, call, method)]


def _given(node: _Def, call: ast.Call, method: bool) -> list[tuple[str, ast.expr]]:
    """Each parameter with what it is given, in the order in which that is evaluated."""
    names = [a.arg for a in node.args.args][1 if method else 0 :]
    found = list(zip(names, call.args, strict=False))
    if len(call.args) > len(names):
        raise NotPossibleError
    for keyword in call.keywords:
        assert keyword.arg
        found.append((keyword.arg, keyword.value))
    defaults = dict(zip(names[::-1], node.args.defaults[::-1], strict=False))
    for name in names:
        if name not in [n for n, _ in found]:
            default = defaults.get(name)
            if not isinstance(default, ast.Constant):
                raise NotPossibleError
            found.append((name, copy.deepcopy(default)))
    if len(found) != len(names):
        raise NotPossibleError
    return found


def _other(call: ast.Call) -> ast.expr | None:
    """Whose method it is, where that is not `self`."""
    f = call.func
    return f.value if isinstance(f, ast.Attribute) and not is_self(f.value) else None


def _as_expression(
    caller: _Def, node: _Def, statement: ast.stmt, call: ast.Call, method: bool
) -> ast.stmt:
    """Where all that is given are names and constants."""
    given = dict(_given(node, call, method))
    ours = locals_of(caller)
    other = _other(call)
    if other is not None:
        given["self"] = other
    for value in given.values():
        if not (
            isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and value.id in ours)
        ):
            raise NotPossibleError
    only = node.body[0]
    assert isinstance(only, ast.Return)
    value = _Names(given).visit(only.value or ast.Constant(None))

    class Replace(ast.NodeTransformer):
        def visit_Call(self, other: ast.Call) -> ast.AST:  # noqa: N802
            return value if other is call else self.generic_visit(other)

    return Replace().visit(statement)


def _as_statements(
    caller: _Def, node: _Def, statement: ast.stmt, call: ast.Call, method: bool
) -> list[ast.stmt]:
    given = _given(node, call, method)
    ours = locals_of(caller)
    assigned = bound_here(node.body)
    # what the caller mentions, its globals as well, and the function's globals
    taken = {n.id for n in ast.walk(caller) if isinstance(n, ast.Name)} | ours
    names_there = {n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name)}
    taken |= names_there - locals_of(node)
    meanings: dict[str, ast.expr] = {}
    before: list[ast.stmt] = []
    other = _other(call)
    if other is not None:
        given.insert(0, ("self", other))
    for name, value in given:
        fixed = isinstance(value, ast.Constant) or (
            isinstance(value, ast.Name) and value.id in ours
        )
        if fixed and name not in assigned:
            meanings[name] = value
            continue
        new = _free(name, taken)
        meanings[name] = ast.Name(new, ast.Load())
        before.append(ast.Assign([ast.Name(new, ast.Store())], value))
    for name in sorted(assigned - {n for n, _ in given}):
        meanings[name] = ast.Name(_free(name, taken), ast.Load())
    names = _Names(meanings)
    result = before + _ended([names.visit(copy.deepcopy(s)) for s in node.body], statement)
    if not isinstance(statement, ast.Return) and _lasts(caller):
        result += _forgotten(meanings, before, assigned)
    return result or [ast.Pass()]


def _free(name: str, taken: set[str]) -> str:
    """A name for a local that nothing in the caller has, be it a local or a global."""
    new, i = name, 1
    while new in taken:
        i += 1
        new = f"{name}{i}"
    taken.add(new)
    return new


def _lasts(caller: _Def) -> bool:
    """It may run for long: what a local of it holds is not given back for as long."""
    return isinstance(caller, ast.AsyncFunctionDef) or any(
        isinstance(n, _LOOPS) for n in ast.walk(caller)
    )


def _forgotten(
    meanings: dict[str, ast.expr], before: list[ast.stmt], assigned: set[str]
) -> list[ast.stmt]:
    bound = {s.targets[0].id for s in before if isinstance(s, ast.Assign)
             and isinstance(s.targets[0], ast.Name)}  # fmt: skip
    bound |= {m.id for n, m in meanings.items() if n in assigned and isinstance(m, ast.Name)}
    if not bound:
        return []
    targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in sorted(bound)]
    return [ast.Assign(targets, ast.Constant(None))]


class _Names(ast.NodeTransformer):
    """Names of the function's own replaced by what they are in its new place."""

    def __init__(self, meanings: dict[str, ast.expr]) -> None:
        self._meanings = meanings

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
        new = self._meanings.get(node.id)
        if new is None:
            return node
        if isinstance(new, ast.Name):
            return ast.Name(new.id, node.ctx)
        return copy.deepcopy(new)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:  # noqa: N802
        new = self._meanings.get(node.name or "")
        if isinstance(new, ast.Name):
            node.name = new.id
        return self.generic_visit(node)


# --- its returns -----------------------------------------------------------------------------


def _ended(body: list[ast.stmt], statement: ast.stmt) -> list[ast.stmt]:
    """The body with every return as `statement` wants it."""
    if isinstance(statement, ast.Return):
        return body if _never_ends(body) else [*body, ast.Return(ast.Constant(None))]
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        if len(statement.targets) != 1 or not (
            isinstance(target, ast.Name)
            or (isinstance(target, ast.Attribute) and is_self(target.value))
        ):
            raise NotPossibleError
    return _lowered(body, statement)


def _never_ends(body: list[ast.stmt]) -> bool:
    """It returns or raises; it does not run over its end."""
    last = body[-1]
    if isinstance(last, ast.If):
        return bool(last.orelse) and _never_ends(last.body) and _never_ends(last.orelse)
    return isinstance(last, (ast.Return, ast.Raise))


def _has_return(statement: ast.stmt) -> bool:
    return any(isinstance(n, ast.Return) for n in ast.walk(statement))


def _lowered(body: list[ast.stmt], statement: ast.stmt) -> list[ast.stmt]:
    """Returns become assignments (or nothing), what follows a return in an if becomes its else."""
    result: list[ast.stmt] = []
    for at, node in enumerate(body):
        if isinstance(node, ast.Return):
            return result + _value(node.value, statement)
        if not _has_return(node):
            result.append(node)
            continue
        if not isinstance(node, ast.If):
            raise NotPossibleError
        rest = body[at + 1 :]
        if _never_ends(node.body):
            then, other = node.body, [*node.orelse, *rest]
        elif node.orelse and _never_ends(node.orelse):
            then, other = [*node.body, *rest], node.orelse
        elif rest:
            raise NotPossibleError  # it would be there twice
        else:
            then, other = node.body, node.orelse
        return result + _if(node.test, _lowered(then, statement), _lowered(other, statement))
    if isinstance(statement, ast.Assign) and not (body and isinstance(body[-1], ast.Raise)):
        result += _value(None, statement)
    return result


def _if(test: ast.expr, then: list[ast.stmt], other: list[ast.stmt]) -> list[ast.stmt]:
    if then:
        return [ast.If(test, then, other)]
    if other:
        return [ast.If(ast.UnaryOp(ast.Not(), test), other, [])]
    return [ast.Expr(test)]


def _value(value: ast.expr | None, statement: ast.stmt) -> list[ast.stmt]:
    if isinstance(statement, ast.Assign):
        target = copy.deepcopy(statement.targets[0])
        return [ast.Assign([target], value or ast.Constant(None))]
    if value is None or isinstance(value, (ast.Constant, ast.Name)):
        return []
    return [ast.Expr(value)]
