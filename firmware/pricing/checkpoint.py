"""The engine's state as integers, for a record in flash, and back.

The list is [version, epoch s, ms of it, the fields of _KEPT, then component and quantity for each
component used]: 31 integers and two per component.
"""

from micropython import const

from firmware.errors import PricingError

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.engine import Engine

_VERSION = const(1)
_KEPT = (
    "ms", "mwh", "kind", "stretch_ms", "stretch_mwh", "period_ms", "period_mwh", "charged_ms",
    "parked_ms", "period_charged", "period_parked", "low_ma", "high_ma", "low_w", "high_w",
    "period_low_ma", "period_high_ma", "period_low_w", "period_high_w", "last_energy", "last_time",
    "last_parking", "last_reserved", "flat", "first_flat", "limit", "frozen", "open",
)  # fmt: skip


def take(engine: "Engine") -> list[int]:
    """Everything an engine needs to go on."""
    kept = [_VERSION, engine.epoch_ms // 1000, engine.epoch_ms % 1000]
    for name in _KEPT:
        kept.append(getattr(engine, name))
    for index, component in enumerate(engine.used):
        kept.append(component)
        kept.append(engine.amounts[index])
    return kept


def give(engine: "Engine", state: list[int]) -> None:
    """Bring a new engine to a state. Raises PricingError when it does not fit."""
    first = 3 + len(_KEPT)
    if len(state) < first or state[0] != _VERSION or (len(state) - first) % 2:
        raise PricingError("state of another version")
    engine.epoch_ms = state[1] * 1000 + state[2]
    for index, name in enumerate(_KEPT):
        setattr(engine, name, state[3 + index])
    for at in range(first, len(state), 2):
        if not 0 <= state[at] < len(engine.tariff.components):
            raise PricingError("state of another tariff")
        engine.used.append(state[at])
        engine.amounts.append(state[at + 1])
