"""Why no new session may start here (asked once a second), or not with this card, and when a meter
that is no use is taken as it is."""

from firmware.paper import leave
from firmware.session.core import WRONG_MS


def why_blocked(p, known: str, takes_bank_cards: bool) -> str:
    """The reason, a text key; "" when one may. `p`: app.App; `known`: what the runner knows of."""
    m = p.machine
    if m.contactor.leaking:
        return "contactor_welded"
    if known:
        return known
    if not p.ledger.room_for_session():
        return "ledger_full"
    tariff = p.prices.tariff
    if tariff is None:
        return "no_tariff"
    if tariff.time_dependent and not p.clock.known:
        return "clock_unknown"
    if p.clock.known and not tariff.valid_at(p.clock.epoch_ms() // 1000):
        return "no_tariff"
    if not m.meter_known:
        return "meter_lost"
    return "" if m.busy else _no_reader(p, m, takes_bank_cards)


def _no_reader(p, m, takes_bank_cards: bool) -> str:
    """Why nobody could begin a session with a card; "" when somebody can, or cards are not taken
    here at all.
    """
    if m.pilot in "EF":
        return "vehicle_fault"
    ready = p.terminal.ready if takes_bank_cards else not p.cfg.cards_kinds
    if ready or p.rfid and p.rfid.state == "ready":
        return ""
    return "terminal_off" if takes_bank_cards else "reader_off"


def not_taken(kinds, card) -> str:
    """Why a bank card (terminal.base.CardResult or Authorisation) may not pay here, by the kinds
    in the configuration (cards.kinds); "" when it may, or when the terminal tells nothing of it.
    """
    if "bank" in kinds or not (card.pan or card.card or card.aid):
        return ""
    from firmware.cards.kinds import refusal

    text = refusal(kinds, card)
    leave("firmware.cards.kinds")
    return text


def give_up(p, swapped: str, wrong: bool, lasts_ms: int) -> bool:
    """Between sessions another meter may take its place (`swapped`) at once. The same one with a
    register that cannot be true (`wrong`) may come to itself again: a session begun on it would
    have no end. So it has ten minutes; then it is what it is, and the operator hears of it. One
    that is searched for at start and is silent too long is searched for anew.
    """
    forgotten = swapped != "" or lasts_ms > WRONG_MS
    if forgotten:
        detail = p.meter.problem
        if p.meter.forget():
            p.runner.record("alarm", {"code": "register_changed", "sess": 0, "detail": detail})
    patience_s = p.cfg.meter_patience_s
    if patience_s and lasts_ms > (WRONG_MS if wrong else patience_s * 1000):
        from firmware.meter.kept import lost

        lost(p.board.files)
        p.runner.fatal("meter_lost", "the next start looks for it anew")
    return forgotten
