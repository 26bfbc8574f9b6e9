"""Builds the board this firmware runs on and hands it to the firmware. The only file that knows both."""

import sys


def board_name() -> str:
    """`host` in the simulator, else what `make flash` wrote into board.txt."""
    if sys.platform == "linux":
        return "host"
    with open("board.txt") as f:
        return f.read().strip()


def main() -> None:
    name = board_name()
    board = __import__("board." + name, None, None, ("Board",)).Board()  # its buffers first, while memory is whole
    from firmware.app import start

    start(board)


main()
