"""Prices a reservation: only a charging record has one, a charger's own session never."""

from micropython import const

from firmware.pricing import boundary

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from firmware.pricing.engine import Engine

# Dimensions of tariff.py.
_TIME = const(4)
_FLAT = const(5)
_EXPIRED_TIME = const(6)
_EXPIRED_FLAT = const(7)


def reserve(engine: "Engine", ms: int, epoch_ms: int, expired: bool = False) -> None:
    """Price a reservation of `ms` that began at epoch_ms, before start() or, if expired, instead.

    An expired reservation's time costs what RESERVATION_EXPIRES says, where it has a TIME (OCPI
    2.2.1 mod_tariffs, ReservationRestrictionType); both kinds of flat fee are due then, each once.
    """
    engine.epoch_ms = epoch_ms
    boundary.look(engine)
    component = boundary.active(engine, _EXPIRED_TIME) if expired else -1
    if component < 0:
        component = boundary.active(engine, _TIME)
    if component >= 0 and ms > 0:
        engine.add(component, ms)
        engine.last_reserved = component
    for dimension in (_FLAT, _EXPIRED_FLAT) if expired else (_FLAT,):
        flat = boundary.active(engine, dimension)
        known = [used for used in engine.used if engine.tariff.components[used][0] == dimension]
        if flat >= 0 and not known:
            engine.add(flat, 1)
