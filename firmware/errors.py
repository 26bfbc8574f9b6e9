"""One family of exceptions for the whole firmware.

What leaves the charger (result codes, message texts) is made elsewhere; these classes only say
what went wrong and where, so that one `except ForecourtError` at a task's edge cannot miss one of
ours and cannot swallow a programming error.
"""


class ForecourtError(Exception):
    """Anything the firmware refuses or cannot do."""


class FieldError(ForecourtError):
    """A value from outside was refused.

    `field` is its path (`elements[2].price_components[0].price`), `reason` what is allowed,
    `given` what came, as text of at most 60 characters. str() is one line:
    `field: reason (given ...)`.
    """

    def __init__(self, field: str, reason: str, given: object = None) -> None:
        self.field = field
        self.reason = reason
        self.allowed = reason
        text = f"{field}: {reason}" if field else reason
        if given is not None:
            try:
                shown = str(given)
            except (MemoryError, RuntimeError):  # too long or too deep
                shown = "..."
            if len(shown) > 60:
                shown = shown[:57] + "..."
            text += f" (given {shown})"
            given = shown
        self.given = given
        super().__init__(text)


class ConfigError(FieldError):
    """The configuration file was refused."""


class TariffError(FieldError):
    """A tariff, or a charging record to be priced, was refused."""


class CommandError(FieldError):
    """A command from the back office was refused."""


class PricingError(ForecourtError):
    """The engine was used against its contract: time or energy going back, a state that does not
    fit.
    """


class FrameError(ForecourtError):
    """A frame on a wire was refused: length, check sum or escaping. `used`: bytes that are done
    with, where a codec says so.
    """

    used = 0


class ModbusError(ForecourtError):
    """The meter's bus did not give an answer that can be used."""


class ModbusTimeout(ModbusError):
    """No whole reply came in time."""


class ModbusCrcError(ModbusError):
    """A reply came whose CRC is wrong."""


class ModbusReplyError(ModbusError):
    """A reply came that does not answer the request."""


class ModbusException(ModbusError):  # noqa: N818 - the protocol's own word
    """The slave refused the request; `code` is its Modbus exception code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"modbus exception {code}")


class MeterError(ForecourtError):
    """The meter's figures cannot be believed or are not there."""


class TerminalError(ForecourtError):
    """The payment terminal could not do what was asked."""


class TerminalTimeout(TerminalError):
    """The terminal did not answer in the protocol's time."""


class TerminalRefused(TerminalError):
    """The terminal answered no; `code` is its result code."""

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        super().__init__(f"terminal refused: {code}" + (f" {text}" if text else ""))


class TerminalGone(TerminalError):
    """The line to the terminal is closed."""


class LedgerError(ForecourtError):
    """The ledger in flash cannot do what was asked."""


class LedgerFull(LedgerError):
    """Every sector holds records that may not be erased yet."""


class LedgerCorrupt(LedgerError):
    """Flash holds what the ledger cannot have written."""


class RecordError(LedgerError):
    """A record cannot be encoded or decoded."""


class FlashError(LedgerError):
    """The flash device reported a failed read, program or erase."""


class LinkError(ForecourtError):
    """The MQTT link broke or the broker refused it."""
