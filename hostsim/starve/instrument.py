"""The firmware with a mark before every statement of every function: `_mark(number)`.

hunger_mpy.py counts the marks and takes the heap away at one of them. Nothing else is changed;
the modules are compiled one by one as for `make build`'s sizes, into build/starve/.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hostsim.setup import BUILD, ROOT
from hostsim.setup.compile import cross_compile
from hostsim.setup.progress import SetupError

TREE = BUILD / "starve"
_MARK = "_mark"
_BLOCKS = ("body", "orelse", "finalbody")


def marked() -> list[str]:
    """Brings build/starve/ up to date; where each mark is, as `firmware/app.py:61`. Raises
    SetupError.
    """
    files = sorted((ROOT / "firmware").rglob("*.py"))
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    stamp = TREE / "places.json"
    if stamp.exists():
        known = json.loads(stamp.read_text())
        if known["digest"] == digest.hexdigest():
            return [str(place) for place in known["places"]]
    shutil.rmtree(TREE, ignore_errors=True)
    places: list[str] = []
    sources: list[Path] = []
    for path in files:
        inside = path.relative_to(ROOT)
        tree = ast.parse(path.read_text())
        _mark_functions(tree, str(inside), places)
        source = TREE / "source" / inside
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(ast.unparse(ast.fix_missing_locations(tree)) + "\n")
        sources.append(source)
    with ThreadPoolExecutor(max_workers=4) as pool:
        errors = [text for text in pool.map(_compile, sources) if text]
    if errors:
        raise SetupError("the marked firmware does not compile:", *errors)
    stamp.write_text(json.dumps({"digest": digest.hexdigest(), "places": places}))
    return places


def _compile(source: Path) -> str:
    inside = source.relative_to(TREE / "source").with_suffix("")
    target = TREE / "mpy" / inside.with_suffix(".mpy")
    target.parent.mkdir(parents=True, exist_ok=True)
    return cross_compile(source, str(inside).replace("/", "."), target)


def _mark_functions(tree: ast.Module, name: str, places: list[str]) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _mark_block(node.body, name, places)


def _mark_block(block: list[ast.stmt], name: str, places: list[str]) -> None:
    """In place; functions inside are not entered, the caller comes to them."""
    for at in range(len(block) - 1, -1, -1):
        node = block[at]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for inner in _BLOCKS:
            if getattr(node, inner, None):
                _mark_block(getattr(node, inner), name, places)
        for handler in getattr(node, "handlers", ()):
            _mark_block(handler.body, name, places)
        if isinstance(node, ast.Global | ast.Nonlocal):
            continue
        mark = ast.Call(ast.Name(_MARK, ast.Load()), [ast.Constant(len(places))], [])
        block.insert(at, ast.Expr(mark))
        places.append(f"{name}:{node.lineno}")
