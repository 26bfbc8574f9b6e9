"""What the back office may ask of a charger: tariff, config, commands; and the clocks that reach it.

Each answer is a dict for the result message; a refusal is an exception of the ForecourtError family that names the
field. The counter of a command is in flash with its effect, so that nothing can be replayed across a restart.
"""

from firmware.clock import NETWORK, REFUSED, TERMINAL
from firmware.errors import CommandError, ConfigError, TariffError
from firmware.config import parse
from firmware.pricing.calendar import days_of

_COMMANDS = ("stop", "report", "restart")


class Remote:
    """The handlers of firmware.sync.Sync; `app`: firmware.app.App."""

    def __init__(self, app):
        self._app = app

    def on_tariff(self, raw) -> dict:
        """Validated whole, stored, used from the next session on; TariffError names the field."""
        app = self._app
        try:
            new = app.prices.store(bytes(raw))
        except TariffError as e:
            app.append("tariff", tariff="", tariff_crc=0, result="refused", detail=str(e)[:120])
            raise
        tariff = app.prices.tariff
        if new:
            app.append("tariff", tariff=tariff.id, tariff_crc=app.prices.crc, result="accepted", detail="")
        return {"detail": "tariff %s is in force from the next session on" % tariff.id}

    def on_config(self, raw) -> dict:
        """A new configuration is checked whole and used after the next restart between sessions."""
        app = self._app
        cfg = parse(bytes(raw).decode())
        if cfg.charger != app.cfg.charger:
            raise ConfigError("charger", "must be %s, this charger" % app.cfg.charger, cfg.charger)
        name = app.board.files + "/config.json"
        with open(name + ".new", "wb") as f:
            f.write(raw)
        import os

        os.rename(name + ".new", name)
        return {"detail": "configuration stored, in force after a restart"}

    def command_counter(self) -> int:
        return self._app.ledger.books.last_counter

    def on_command(self, command: dict) -> dict:
        """A verified command: stop (the running session), report, restart (between sessions)."""
        app = self._app
        name = command["name"]
        if name not in _COMMANDS:
            raise CommandError("name", "must be one of " + ", ".join(_COMMANDS), name)
        if name == "restart" and app.machine.busy:
            raise CommandError("name", "restart is refused while a session is open", name)
        detail = "done"
        app.append("command", command=command["id"], counter=command["counter"], name=name, result="ok",
                          detail=detail)
        if name == "stop":
            app.runner.perform(app.machine.on_stop(app.board.clock.uptime_ms(), "remote"))
        elif name == "restart":
            app.board.reset()
        return {"detail": detail, "data": self._report() if name == "report" else {}}

    def _report(self) -> dict:
        app = self._app
        return {"state": app.machine.state, "meter": app.meter.state, "terminal": app.terminal.state,
                "serial": app.machine.serial, "register_wh": app.machine.register_wh, "version": app.version,
                "restarts": app.supervisor.restarts}

    def on_time(self, epoch_ms: int) -> None:
        if self._app.clock.set(epoch_ms, NETWORK) == REFUSED:
            self._app.log("warning", "the time server's time is not believable: %d" % epoch_ms)

    def on_terminal_time(self, year, month: int, day: int, hour: int, minute: int, second: int) -> None:
        """The terminal's local time; without a year it is of no use until the clock was known once."""
        app = self._app
        if year is None:
            return
        local = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
        tz = app.prices.tz
        app.clock.set((local - tz.offset(local - tz.offset(local))) * 1000, TERMINAL)

    def on_security(self, code: str, detail: str) -> None:
        self._app.append("security", code=code, detail=detail)
