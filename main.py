"""Builds the board this firmware runs on and hands it to the firmware. The only file that knows
both.
"""

import gc
import sys

# Collect often: what stays is then packed from the heap's beginning, and the free memory stays in
# one piece. With the default (collect when full) garbage between the pieces of code leaves holes
# that no message fits into. A board with memory to spare (an RP2040: 35 ms a collection) does it
# less often.
gc.threshold(4096 if gc.mem_free() < 200000 else 16384)


def board_name() -> str:
    """`host` in the simulator, else what `make flash` wrote into board.txt."""
    if sys.platform == "linux":
        return "host"
    with open("board.txt") as f:
        return f.read().strip()


def main() -> None:
    name = board_name()
    # its buffers first, while memory is whole
    board = __import__("board." + name, None, None, ("Board",)).Board()
    asked = sys.argv[-1] if sys.argv else ""
    if asked.startswith("safe "):  # /main.py of a board, see board/root_main.py
        from firmware import safe

        safe.start(board, asked[5:])
    from firmware.app import start

    start(board, board.power()[1])


main()
