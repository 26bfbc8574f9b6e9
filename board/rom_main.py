# main.mpy of a slot where the program is in ROMFS (docs/boards, "Boards with a ROMFS partition"):
# the slot only says which version is meant to be there.
import sys

sys.path[0] = "/rom"
del sys.modules["main"]
import main  # noqa: E402, F401 - the one in /rom
