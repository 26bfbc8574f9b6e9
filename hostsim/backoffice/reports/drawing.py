"""Charts as shapes, so that one drawing becomes SVG on a page and vectors in a PDF.

Coordinates are points from the top left; `mark` is the number of a colour, 0 to 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH = 640
_LEFT, _TOP, _BOTTOM = 56, 12, 22
_GAP = 0.25
_ROW = 22
_CELL_TOP = 18
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Rect:
    """`strength` 0 to 1 fades it; `title` is what a pointer or a screen reader gets."""

    x: float
    y: float
    w: float
    h: float
    title: str
    mark: int = 0
    strength: float = 1.0


@dataclass(frozen=True)
class Text:
    """`anchor`: start, middle, end."""

    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class Line:
    """A thin line behind the marks."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass
class Drawing:
    """`title` says what is seen."""

    title: str
    height: float
    width: float = WIDTH
    shapes: list[Rect | Text | Line] = field(default_factory=list)


def columns(
    title: str, labels: Sequence[str], values: Sequence[float], texts: Sequence[str],
    unit: str = "", height: float = 220, mark: int = 0,
) -> Drawing:  # fmt: skip
    """A column each; `texts` are the exact figures. Few labels are shown when there are many."""
    drawing = Drawing(title, height)
    top = nice(max([*values, 0]))
    floor = height - _BOTTOM
    _scale(drawing, top, unit, floor)
    step = (WIDTH - _LEFT) / max(len(values), 1)
    every = max(1, math.ceil(len(values) / 12))
    for n, (label, value, text) in enumerate(zip(labels, values, texts, strict=True)):
        x = _LEFT + n * step
        tall = (floor - _TOP) * value / top if top else 0
        width = max(step * (1 - _GAP), 0.8)
        drawing.shapes.append(
            Rect(x + step * _GAP / 2, floor - tall, width, tall, f"{label}: {text}", mark)
        )
        if n % every == 0:
            drawing.shapes.append(Text(x + step / 2, height - 6, label, "middle"))
    return drawing


def bars(
    title: str, labels: Sequence[str], values: Sequence[float], texts: Sequence[str], mark: int = 0
) -> Drawing:
    """A horizontal bar each, its label before and its figure behind it."""
    drawing = Drawing(title, max(len(values), 1) * _ROW + 6)
    top = max([*values, 0]) or 1
    room = WIDTH - 150 - 110
    for n, (label, value, text) in enumerate(zip(labels, values, texts, strict=True)):
        y = n * _ROW + 4
        long = max(room * max(value, 0) / top, 1)
        drawing.shapes.append(Text(144, y + 13, label[:24], "end"))
        drawing.shapes.append(Rect(150, y, long, _ROW - 6, f"{label}: {text}", mark))
        drawing.shapes.append(Text(156 + long, y + 13, text))
    return drawing


def week(title: str, shares: Sequence[Sequence[float]], texts: Sequence[Sequence[str]]) -> Drawing:
    """Seven rows of 24 cells; `shares` are 0 to 1."""
    cell = (WIDTH - _LEFT) / 24
    drawing = Drawing(title, _CELL_TOP + 7 * 24 + 4)
    top = max([max(row) for row in shares] + [0]) or 1
    for hour in range(0, 24, 3):
        drawing.shapes.append(Text(_LEFT + hour * cell, 12, f"{hour}:00"))
    for day, row in enumerate(shares):
        y = _CELL_TOP + day * 24
        drawing.shapes.append(Text(_LEFT - 8, y + 15, DAYS[day], "end"))
        for hour, share in enumerate(row):
            words = f"{DAYS[day]} {hour}:00 to {hour + 1}:00: {texts[day][hour]}"
            strength = 0.06 + 0.94 * share / top if share else 0.0
            drawing.shapes.append(
                Rect(_LEFT + hour * cell, y, cell - 2, 22, words, 0, round(strength, 3))
            )
    return drawing


def nice(value: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 0
    power = 10 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 2.5, 5) if step * power >= value), 10 * power)


def _scale(drawing: Drawing, top: float, unit: str, floor: float) -> None:
    for part in range(5):
        y = floor - (floor - _TOP) * part / 4
        drawing.shapes.append(Line(_LEFT, y, WIDTH, y))
        if top:
            drawing.shapes.append(Text(_LEFT - 6, y + 4, _short(top * part / 4) + unit, "end"))


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}"
