"""Why no new session may start here. Asked once a second."""


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
