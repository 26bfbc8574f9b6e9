"""The RFID reader and the members' list joined to the charger. Stays in memory, where an RFID
reader is configured; the list is looked through by members.py, entered for a tap and left again.
"""

from firmware.errors import ForecourtError
from firmware.paper import leave
from firmware.session.core import OPEN_TO_CARDS
from firmware.terminal.base import CardResult
from firmware.terminal.masking import card_hash
from firmware.terminal.reader import Reader


class Rfid(Reader):
    """`app`: firmware.app.App. `list_version`, `salt`: of the members' list in force (0 and b""
    without one); `coming`: a list that is being received (member_list.py).
    """

    def __init__(self, app, serial):
        self._app = app
        self.list_version = 0
        self.salt = b""
        self.coming: "object" = None
        super().__init__(serial, self._waits, self._read)

    def _waits(self) -> bool:
        return self._app.machine.wants("rfid")

    def _read(self, uid: bytes) -> None:
        """A card that may stop its session needs no more than its hash; one that may begin a
        session is looked for in the list.
        """
        app = self._app
        card = CardResult("rfid", "", card_hash(self.salt, uid))
        if app.machine.state in OPEN_TO_CARDS:
            from firmware.cards.members import look

            try:
                look(app, card)
            except MemoryError as e:
                card.session, card.text = None, "not_possible"
                app.log("warning", "member: %s" % e)
            except (ForecourtError, OSError) as e:
                card.session, card.text = None, "list_unreadable"
                app.log("error", "members: %s" % e)
            finally:
                leave("firmware.cards.members")
        app.runner.card_read(card)
