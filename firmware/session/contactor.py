"""The contactor against its auxiliary contact and the meter: not closing, welded, power without
it. Pure.

A fault is a number of looks with the wrong feedback (about 20 ms each, real time), because charger
time may run faster than the contactor in the simulator and a look is what a relay's bounce is
measured in.
"""

_LOOKS = 50
# Power while the contactor is open: more than what a charger itself uses, in so many readings.
_LEAK_W = 100
_READINGS = 4

NOT_CLOSING = "contactor_not_closing"
WELDED = "contactor_welded"
FREED = "contactor_freed"
LEAKING = "power_without_contactor"


class ContactorWatch:
    def __init__(self):
        self.commanded = False
        self.welded = False
        self.closed = False  # the last look
        self.leaking = False
        self._wrong = 0
        self._leaks = 0

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

    def power(self, power_w: int) -> str:
        """One meter reading; LEAKING when power has just become certain to flow although the
        contactor is told to be open, and says it is: it is bridged, or its auxiliary contact
        lies. It is over after as many readings without power.
        """
        wrong = power_w > _LEAK_W and not self.commanded and not self.closed
        if wrong == self.leaking:
            self._leaks = 0
            return ""
        self._leaks += 1
        if self._leaks < _READINGS:
            return ""
        self.leaking = wrong
        self._leaks = 0
        return LEAKING if wrong else ""
