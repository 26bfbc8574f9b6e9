"""What is written once onto a board and stays from version to version: /boot.py, /main.py and
/start.mpy, with the board's pins filled in (docs/boards, "The file system").
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from board import plan
from hostsim.setup import ROOT

INLINE = 512
"""LittleFS keeps a file of at most an eighth of its block with its name: it needs no block."""
_SECTOR = 4096


def stages(data: dict[str, Any]) -> dict[str, bytes]:
    """`data`: a board module's DATA. Texts of `boot.py` and `main.py`, and of `first.py` where
    MicroPython's own file system holds only a first stage (an RP2040's `files`), which is then
    that one's boot.py. The loader itself is board/start.py, compiled: `start.mpy`.

    Raises ValueError when a first stage is too large to lie where it may.
    """
    numbers: dict[str, Any] = {"SHARED": int(plan.shares_stop(data))}
    numbers["CONTACTOR"], numbers["CLOSED"] = data["contactor"]
    numbers["JUMPER"], numbers["SET"] = data["jumper"]
    numbers |= {"SCREEN": data["screen"], "RED": data["lights"][0]}
    numbers["LAMP"] = int(data["lights"][0] is not None)
    texts = {"main.py": filled(ROOT / "board" / "root_main.py", numbers)}
    if "files" in data:
        first, count = data["files"]
        numbers |= {"START": first * _SECTOR, "LENGTH": count * _SECTOR}
        texts["first.py"] = filled(ROOT / "board" / "rp2_boot.py", numbers)
        if len(texts["first.py"]) > INLINE:
            raise ValueError(f"the first stage has {len(texts['first.py'])} bytes, not {INLINE}")
    else:
        texts["boot.py"] = filled(ROOT / "boot.py", numbers)
    return texts


def filled(source: Path, numbers: dict[str, Any]) -> bytes:
    """The source without comments, its capital names replaced by what they are on the board; an
    `if` whose condition is one of them is decided here.
    """
    tree = ast.parse(source.read_text())
    tree.body = [node for node in tree.body if not _names_numbers(node)]
    tree = ast.fix_missing_locations(_Fill(numbers).visit(tree))
    return (ast.unparse(tree) + "\n").encode()


def _names_numbers(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and all(isinstance(name, ast.Name) and name.id.isupper() for name in node.targets[0].elts)
    )


class _Fill(ast.NodeTransformer):
    def __init__(self, numbers: dict[str, Any]) -> None:
        self._numbers = numbers

    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802 - ast's name
        if node.id.isupper():
            return ast.Constant(self._numbers[node.id])
        return node

    def visit_If(self, node: ast.If) -> ast.If | list[ast.stmt]:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node
