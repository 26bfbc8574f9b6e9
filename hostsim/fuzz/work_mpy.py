"""Runs generated inputs through one parser, on CPython (guided by the lines they reach) or on
MicroPython (blind): work_mpy.py PARSER INPUTS SEED [FILE]. The one input in FILE (hex) is run and
its exception shown. Prints one JSON object; the exit code is always 0 then.

On CPython one input in `_TRACED` is traced; one that reaches a pair of lines nobody reached
before joins the corpus. Every failure is an input that raised what its parser does not declare.
"""

import json
import sys
import time

import shims_mpy  # type: ignore[import-not-found]  # noqa: F401
import targets_mpy  # type: ignore[import-not-found]
from mutate_mpy import Dice, mutated  # type: ignore[import-not-found]

_TRACED = 12
_EARLY = 3  # more of the first inputs
_BEGIN = 60000
_CORPUS = 3000
_FAILURES = 20
_GUIDED = hasattr(sys, "settrace")


class Coverage:
    """Pairs of lines of the files in a folder (`room`), by settrace (CPython)."""

    def __init__(self, room):
        self.pairs = set()
        self._room = room
        self.lines = set()
        self._new = False
        self._mine = {}

    def run(self, call, data) -> bool:
        """Whether the input reached something new; exceptions pass."""
        self._new = False
        sys.settrace(self._enter)
        try:
            call(data)
        finally:
            sys.settrace(None)
        return self._new

    def _enter(self, frame, event, argument):
        name = frame.f_code.co_filename
        if name not in self._mine:
            self._mine[name] = self._room in name
        if not self._mine[name]:
            return None
        before = [0]

        def line(frame, event, argument):
            if event == "line":
                at = frame.f_lineno
                pair = (name, before[0], at)
                before[0] = at
                if pair not in self.pairs:
                    self.pairs.add(pair)
                    self.lines.add((name, at))
                    self._new = True
            return line

        return line


class Run:
    """One campaign against one target (targets_mpy)."""

    def __init__(self, target, seed: int):
        self.target = target
        self.dice = Dice(seed)
        self.corpus = [bytes(seed) for seed in target.seeds()]
        self.coverage = Coverage(target.room) if _GUIDED else None
        self.accepted = 0
        self.refused: "dict[str, int]" = {}
        self.failures: "list[dict]" = []
        self.slowest_ms = 0
        self._known: "set[tuple]" = set()
        self._dull = 0

    def one(self, data, traced: bool) -> None:
        began = time.ticks_ms()
        new = False
        try:
            if traced:
                new = self.coverage.run(self.target.run, data)
            else:
                self.target.run(data)
            self.accepted += 1
        except self.target.declared as e:
            name = type(e).__name__
            self.refused[name] = self.refused.get(name, 0) + 1
            new = traced and self.coverage._new
        except Exception as e:  # noqa: BLE001 - what is searched for
            self._failed(data, e)
        took = time.ticks_diff(time.ticks_ms(), began)
        if not traced and took > self.slowest_ms:
            self.slowest_ms = took
        if new and len(self.corpus) < _CORPUS:
            self.corpus.append(bytes(data))

    def _failed(self, data, error) -> None:
        kind = "%s: %s" % (type(error).__name__, error)
        where = _where(error)
        key = (type(error).__name__, where)
        if key in self._known:
            return
        self._known.add(key)
        if len(self.failures) < _FAILURES:
            self.failures.append({"input": bytes(data).hex(), "error": kind[:200], "at": where})

    def play(self, inputs: int) -> None:
        for seed in list(self.corpus):
            self.one(bytearray(seed), _GUIDED)
        for n in range(inputs):
            data = self.target.made(self.dice, self.corpus)
            if data is None:
                data = mutated(self.dice, self.corpus, self.target.words)
            data = self.target.mended(data, self.dice)
            self.one(data, _GUIDED and n % (_EARLY if n < _BEGIN else _TRACED) == 0)


def _where(error) -> str:
    if not _GUIDED:
        return ""
    at = error.__traceback__
    place = ""
    while at is not None:
        name = at.tb_frame.f_code.co_filename
        if "/firmware/" in name or "/hostsim/" in name or not place:
            place = "%s:%d" % ("/".join(name.split("/")[-2:]), at.tb_lineno)
        at = at.tb_next
    return place


def _lines_of(name) -> "set[int]":
    """Executable lines of a module (CPython)."""
    path = sys.modules[name].__file__
    with open(path) as source:
        codes = [compile(source.read(), path, "exec")]
    lines: "set[int]" = set()
    while codes:
        code = codes.pop()
        if code.co_name != "<module>":  # run at import, before anything is traced
            lines.update(n for _, _, n in code.co_lines() if n and n > code.co_firstlineno)
        inner = [c for c in code.co_consts if hasattr(c, "co_lines")]
        codes.extend(c for c in inner if not _is_class(c))
        for one in inner:
            if _is_class(one):
                codes.extend(c for c in one.co_consts if hasattr(c, "co_lines"))
    return lines


def _is_class(code) -> bool:
    return "__qualname__" in code.co_names and "__module__" in code.co_names


def _missed(coverage, name) -> "list[int]":
    """Lines of a module that no input reached."""
    path = sys.modules[name].__file__
    return sorted(_lines_of(name) - {line for file, line in coverage.lines if file == path})


def _replay(target, data) -> None:
    """One input, and what came of it; exit code 1 unless it was accepted."""
    try:
        target.run(data)
    except Exception as e:  # noqa: BLE001 - what is searched for
        if isinstance(e, target.declared):
            print("refused, as declared:")
        if _GUIDED:
            raise
        sys.print_exception(e)
        sys.exit(1)
    print("accepted")


def main(arguments) -> None:
    target = targets_mpy.TARGETS[arguments[0]]()
    if len(arguments) > 3:
        with open(arguments[3]) as f:  # MicroPython takes no argument of more than 255 bytes
            _replay(target, bytearray(bytes.fromhex(f.read().strip())))
        return
    inputs, seed = int(arguments[1]), int(arguments[2])
    run = Run(target, seed)
    began = time.ticks_ms()
    run.play(inputs)
    found = {
        "parser": arguments[0], "on": sys.implementation.name, "inputs": inputs, "seed": seed,
        "accepted": run.accepted, "refused": run.refused, "corpus": len(run.corpus),
        "seconds": time.ticks_diff(time.ticks_ms(), began) // 1000,
        "slowest_ms": run.slowest_ms, "failures": run.failures,
    }  # fmt: skip
    if run.coverage:
        missed = {name: _missed(run.coverage, name) for name in target.about}
        found["of_lines"] = sum([len(_lines_of(name)) for name in target.about])
        found["lines"] = found["of_lines"] - sum([len(lines) for lines in missed.values()])
        found["missed"] = {name: lines for name, lines in missed.items() if lines}
    print(json.dumps(found))


main(sys.argv[1:])
