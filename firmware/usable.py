"""Whether a configuration that reads well can be used: what start-up would do with it is tried.
Entered when one comes over MQTT, before it is accepted, and at start-up; left again.
"""

from firmware.errors import ConfigError, FieldError
from firmware.paper import leave

# ISO 4217 numbers of the currencies a terminal may be told to use
_CURRENCIES = (
    "EUR978GBP826CHF756USD840CAD124SEK752NOK578DKK208PLN985CZK203HUF348RON946BGN975ISK352"
    "JPY392AUD036NZD554TRY949INR356CNY156KWD414BHD048"
)


def currency_number(currency: str) -> int:
    """ISO 4217 number; ConfigError when a terminal cannot be told to use it."""
    at = _CURRENCIES.find(currency)
    if at < 0 or at % 6:
        raise ConfigError("currency", "must be one a terminal can be told to use", currency)
    return int(_CURRENCIES[at + 3 : at + 6])


def check(cfg) -> None:
    """Raises ConfigError for the first field of `cfg` (config.Config, `once` not emptied) that
    start-up could not use.
    """
    from firmware.pricing.calendar import TimeZone

    once = cfg.once
    try:
        TimeZone(once["time_zone"])
        currency_number(cfg.currency)
        if once["meter.model"] != "auto":
            _meter(once["meter.model"])
        _terminal(once["terminal.profile"])
    except ConfigError:
        raise
    except FieldError as e:
        raise ConfigError("time_zone", e.reason, once["time_zone"])


def _meter(name: str) -> None:
    from firmware.meter.profiles import load

    try:
        load(name)
    finally:
        leave("firmware.meter.profiles")


def _terminal(name: str) -> None:
    from firmware.terminal.profiles import load

    try:
        load(name)
    finally:
        leave("firmware.terminal.profiles")
