"""The contactor against its auxiliary contact: not closing, welded. Pure.

A fault is a number of looks with the wrong feedback (about 20 ms each, real time), because charger
time may run faster than the contactor in the simulator and a look is what a relay's bounce is
measured in.
"""

_LOOKS = 50

NOT_CLOSING = "contactor_not_closing"
WELDED = "contactor_welded"
FREED = "contactor_freed"


class ContactorWatch:
    def __init__(self):
        self.commanded = False
        self.welded = False
        self.closed = False  # the last look
        self._wrong = 0

    def command(self, closed: bool) -> None:
        self.commanded = closed
        self._wrong = 0

    def look(self, closed: bool) -> str:
        """One look; a fault's code when it has just become certain, FREED when a welded one
        opened, else "".
        """
        self.closed = closed
        if closed == self.commanded:
            self._wrong = 0
            if self.welded and not closed:
                self.welded = False
                return FREED
            return ""
        self._wrong += 1
        if self._wrong != _LOOKS:
            return ""
        if self.commanded:
            return NOT_CLOSING
        self.welded = True
        return WELDED
