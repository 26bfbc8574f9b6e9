"""What a charger never asks of a library is left out of its copy for the charger.

A name costs 7 bytes of heap and its letters, and the interpreter's table of names doubles when it
is full: that takes 9 KB in one piece. micropython-logging brings handlers, formatters and a root
logger; the firmware has a handler of its own (firmware/app.py). The pinned library in build/lib/
stays as it is.
"""

import ast

LOGGING = "logging"
_NAMES = frozenset(
    (
        "Handler",
        "StreamHandler",
        "FileHandler",
        "Formatter",
        "basicConfig",
        "info",
        "debug",
        "root",
    )
)
_METHODS = frozenset(
    ("_level_str", "setLevel", "isEnabledFor", "debug", "info", "warning", "error", "critical",
     "exc", "exception")
)  # fmt: skip
_UNREAD = frozenset(("created", "msecs", "pathname", "lineno", "exc_info", "func", "sinfo", "ct"))


def trim_logging(source: str) -> str:
    """micropython-logging 0.5.2 with getLogger, Logger.log, addHandler and LogRecord alone."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not _names(node) & _NAMES]
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            node.body = [part for part in node.body if not _names(part) & _METHODS]
        if isinstance(node, ast.ClassDef) and node.name == "LogRecord":
            start = node.body[0]
            assert isinstance(start, ast.FunctionDef)
            start.body = [part for part in start.body if not _names(part) & _UNREAD]
        if isinstance(node, ast.FunctionDef) and node.name == "getLogger":
            node.body = [part for part in map(_other, node.body) if part is not None]
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _names(node: ast.stmt) -> set[str]:
    """What a statement defines or assigns."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        if isinstance(target, ast.Name):
            return {target.id}
        if isinstance(target, ast.Attribute):
            return {target.attr}
    return set()


def _other(node: ast.stmt) -> ast.stmt | None:
    """A statement of getLogger without its root logger."""
    if isinstance(node, ast.If) and "root" in ast.unparse(node):
        return node.orelse[0] if node.orelse else None
    if isinstance(node, ast.If) and ast.unparse(node.test) == "name is None":
        return None
    return node
