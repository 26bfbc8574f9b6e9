"""Which version starts, or whether none may: /start.mpy, in the file system's root, outside both
slots (docs/boards, "The file system"). /main.py enters it at every start and leaves it again.

Promises: a version that did not come up in three starts gives way to the one before; a version
that came up once and then fails three starts in a row, or the jumper, leads to safe mode, where
the ledger is kept as it is. A cut anywhere leads to the same decisions at the next start: every
file is one small write or one rename. Limits: a power cut is no failed start, but a new version
has three starts whatever ended them.

`begin` and `again` keep their names, their parameters and what these mean: /main.py and the
firmware that call them may be of another release.
"""

TRIES = 3


def choose(slot: str, whole: str, trial: str, starts: int, jumper: bool, power_on: bool):
    """`slot`: what /slot says; `whole`: letters of the slots that hold a whole version; `trial`:
    what /trial says; `starts`: starts in a row that came to nothing; `power_on`: this one is not
    the end of another.

    Gives (slot, why safe or "", starts of the trial from now on or -1, starts from now on, why the
    other version was taken or "").
    """
    back = ""
    mine = slot[:1]
    if not mine or mine not in whole:
        back = "slot %s holds no whole version" % (mine or "?") if mine else ""
        mine = whole[:1]
        if not mine:
            return "", "jumper" if jumper else "no_version", -1, starts, ""
    other = "b" if mine == "a" else "a"
    tried = _tried(trial, mine)
    if jumper:
        return mine, "jumper", tried, starts, back
    if power_on:
        starts = 0
        if other not in whole:
            tried = min(tried, 0)
    if tried >= TRIES:
        if other in whole:
            return other, "", -1, 1, "slot %s did not come up in %d starts" % (mine, tried)
        return mine, "starts", tried, starts, back
    if tried >= 0:
        return mine, "", tried + 1, starts, back
    if starts >= TRIES:
        return mine, "starts", -1, starts, back
    return mine, "", -1, starts + 1, back


def _tried(trial: str, slot: str) -> int:
    """Starts of the version on trial in this slot; -1: it came up once."""
    words = trial.split()
    if len(words) != 2 or words[0] != slot or not words[1].isdigit():
        return -1
    return int(words[1])


def _read(name: str) -> str:
    try:
        with open(name) as f:
            return f.read().strip()
    except (OSError, ValueError):  # not there; not text: a cut left nothing of ours
        return ""


def _write(name: str, text: str) -> None:
    """Whole or not at all."""
    import os

    with open(name + ".new", "w") as f:
        f.write(text)
    os.rename(name + ".new", name)


def _keep(name: str, text: str) -> None:
    """The file says `text` from now on; "": it is not there."""
    if text == _read(name):
        return
    if text:
        _write(name, text)
    else:
        import os

        os.remove(name)


def begin(jumper: bool, power_on: bool) -> str:
    """Decides, writes down what it counted, and makes the chosen slot the first place that
    modules come from. Gives why safe, "" when the charger may start.
    """
    import sys

    whole = "".join([s for s in "ab" if _read("/%s/whole" % s)])
    starts = _read("/starts")
    slot, safe, tried, count, back = choose(
        _read("/slot"), whole, _read("/trial"), int(starts) if starts.isdigit() else 0,
        jumper, power_on,
    )  # fmt: skip
    if not jumper:
        if back or not slot:
            _keep("/back", back or "no whole version was there")
        if slot:
            _keep("/slot", slot)
        _keep("/trial", "%s %d" % (slot, tried) if tried >= 0 else "")
        _keep("/starts", str(count) if count else "")
    if slot:
        sys.path.insert(0, "/" + slot)
    else:
        sys.path[:] = [".frozen"]  # /main.py would find itself
    return safe


def again() -> None:
    """Safe mode has waited long enough: the next start is tried, once."""
    words = _read("/trial").split()
    if words:
        _keep("/trial", "%s %d" % (words[0], TRIES - 1))
    else:
        _keep("/starts", str(TRIES - 1))
