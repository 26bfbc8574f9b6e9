"""Which moments stand for all of them: spread over the kinds of moments and over the intervals
between two records, because an erase has more bytes than all money has moments.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from hostsim.powercut.cuts import Cut

Moment = tuple[Cut, int]  # with the number of records that were written before it

_ERASES = 10  # at most one of so many is in an erase


def draw(moments: list[Moment], count: int, source: random.Random) -> list[Moment]:
    """`count` of the moments, by `source`: in turn from each kind of moment (what, who loses
    power), there in turn from each interval. From erases only what the others cannot fill, or a
    tenth.
    """
    kinds: dict[tuple[str, str], list[Moment]] = {}
    for moment in moments:
        kinds.setdefault((moment[0].what, moment[0].who), []).append(moment)
    erases = [m for (what, _), found in kinds.items() if what == "erase" for m in found]
    others = [found for (what, _), found in sorted(kinds.items()) if what != "erase"]
    source.shuffle(others)
    rest = sum(map(len, others))
    erased = min(len(erases), max(count // _ERASES, count - rest))
    taken = source.sample(erases, erased)
    drawn = _in_turn([_in_turn(_intervals(found, source)) for found in others])
    return taken + [moment for moment, _ in zip(drawn, range(count - erased), strict=False)]


def _intervals(moments: list[Moment], source: random.Random) -> list[Iterable[Moment]]:
    """One list an interval, both in random order."""
    found: dict[int, list[Moment]] = {}
    for moment in moments:
        found.setdefault(moment[1], []).append(moment)
    lists: list[list[Moment]] = list(found.values())
    source.shuffle(lists)
    for each in lists:
        source.shuffle(each)
    return list(lists)


def _in_turn(lists: list[Iterable[Moment]]) -> Iterator[Moment]:
    """One of each, until all are used up."""
    left = [iter(each) for each in lists]
    while left:
        still = []
        for each in left:
            moment = next(each, None)
            if moment is not None:
                still.append(each)
                yield moment
        left = still
