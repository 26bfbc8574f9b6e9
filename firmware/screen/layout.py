"""Words into rows and columns: wrapping, pairs, and pages when the display is smaller than what
must be said.
"""


def wrap(text: str, columns: int) -> "list[str]":
    """`text` in lines of at most `columns`, broken at spaces; a word longer than a line is cut. []
    for no text.
    """
    lines = []
    line = ""
    for word in text.split():
        while len(word) > columns:
            if line:
                lines.append(line)
                line = ""
            lines.append(word[:columns])
            word = word[columns:]
        if not line:
            line = word
        elif len(line) + 1 + len(word) <= columns:
            line += " " + word
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    return lines


def pair(left: str, right: str, columns: int) -> str:
    """One at each edge. What does not fit is cut from the left one: the right one is the
    figure.
    """
    room = columns - len(right) - (1 if right else 0)
    if room < 0:
        return right[:columns]
    left = left[:room]
    return left + " " * (columns - len(left) - len(right)) + right


def pages_of(body: int, foot: int, rows: int) -> int:
    """How many pages a head line, `body` and `foot` lines take on `rows` rows."""
    if body + foot < rows:
        return 1
    room = max(1, rows - 1 - min(foot, 1))
    return max(foot, (body + room - 1) // room)


def compose(
    head: str, body: "list[str]", foot: "list[str]", rows: int, columns: int, page: int
) -> "tuple[str, ...]":
    """Exactly `rows` lines: `head`, a part of `body`, `foot` at the bottom.

    When all fits, a blank line sets them apart as far as there is room. When not, `body` is shown
    in pages and `foot` in the one last row, a line at a time; `page` counts up without end.
    """
    out = [head[:columns]]
    if len(body) + len(foot) >= rows:
        foot = [foot[page % len(foot)]] if foot else []
        room = max(1, rows - 1 - len(foot))
        first = page % ((len(body) + room - 1) // room) * room if body else 0
        body = body[first : first + room]
    elif len(body) + len(foot) + 1 < rows:
        out.append("")
    out.extend(body)
    while len(out) < rows - len(foot):
        out.append("")
    out.extend(foot)
    return tuple([line[:columns] for line in out[:rows]])
