"""The charger's wall clock: time since power-on (Clock.uptime_ms) plus an offset that a source has
to give first.

A board has no battery-backed clock that could be believed, so the time is unknown after power-on
and every reader must cope with 0. No task waits for it and nothing guesses it.
"""

from micropython import const

NETWORK = "network"
TERMINAL = "terminal"

# What set() answers.
SET = "set"  # known now, or moved by less than a step
STEPPED = "stepped"  # moved by 2 s or more
REFUSED = "refused"  # not a time this firmware can live in
OUTRANKED = "outranked"  # the terminal's word, while the network's is fresh
BACK = "back"  # would step back while a session runs: not done

EARLIEST_MS = 1735689600000  # 2025-01-01: no earlier than this firmware
LATEST_MS = 4102444800000  # 2100-01-01
_STEP_MS = const(2000)
_FRESH_MS = const(86400000)
_DRIFT_OVER_MS = const(60000)


class WallClock:
    """`board_clock`: the board's Clock. `in_session` is kept by whoever runs sessions.

    Of two sources "network" is better than "terminal"; a terminal's time is taken only while the
    network has said nothing for a day.
    """

    def __init__(self, board_clock) -> None:
        self._board = board_clock
        self._offset = 0
        self._network_at = -1  # uptime of the network's last word
        self._drift_from = 0
        self.source = ""
        self.in_session = False
        self.last_step_ms = 0
        self.drift_ppm = 0

    @property
    def known(self) -> bool:
        return self.source != ""

    def uptime_ms(self) -> int:
        """The board's own Clock.uptime_ms()."""
        return self._board.uptime_ms()

    def epoch_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC; 0 while unknown."""
        return self._board.uptime_ms() + self._offset if self.source else 0

    def set(self, epoch_ms: int, source: str) -> str:
        """Takes the time of a source; answers one of SET, STEPPED, REFUSED, OUTRANKED, BACK
        (nothing done for the last three). Steps back of 2 s or more are left for the end of the
        session; smaller ones are always taken."""
        if not EARLIEST_MS <= epoch_ms < LATEST_MS:
            return REFUSED
        up = self._board.uptime_ms()
        if source != NETWORK and 0 <= self._network_at and up - self._network_at < _FRESH_MS:
            return OUTRANKED
        offset = epoch_ms - up
        step = offset - self._offset if self.source else 0
        if step <= -_STEP_MS and self.in_session:
            return BACK
        if source == NETWORK:
            self._note_drift(step, up)
            self._network_at = up
        self._offset = offset
        self.source = source
        self.last_step_ms = step
        return STEPPED if abs(step) >= _STEP_MS else SET

    def _note_drift(self, step: int, up: int) -> None:
        """Parts per million the board's oscillator is slow (+) or fast (-), between two words of
        the network."""
        if self._network_at >= 0 and abs(step) < _STEP_MS:
            if up - self._drift_from < _DRIFT_OVER_MS:
                return
            self.drift_ppm = step * 1000000 // (up - self._drift_from)
        self._drift_from = up
