"""The screen: a view of the session becomes words on the board's display.

Promises: the price is shown before a card is asked for, in the order the tariff gives it (EU AFIR
art. 5: per kWh, per minute, per session, other); nothing that must be said is lost on a small
display, it comes in pages; the port is called only when something changed. Call `show` at least
once a second: pages and languages turn with it.
"""

import time

from micropython import const

from firmware.pricing import money
from firmware.screen import figures
from firmware.screen.layout import compose, pages_of, pair, wrap
from firmware.screen.texts import Words

TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.ports import ScreenPort

_PAGE_MS = const(4000)
_TICKS_MASK = const(0x3FFFFFFF)
_WIDE = const(32)

# states in which nobody has begun yet: languages take turns
_IDLE = ("booting", "free", "plugged", "out_of_service", "safe_mode")
# states in which the message says why; in the others it stands above the prompt
_REASONED = (
    "booting",
    "finished",
    "settling",
    "receipt",
    "declined",
    "out_of_service",
    "recovering",
    "safe_mode",
    "doctor",
    "doctor_bad",
)

_LIGHTS = {
    "booting": "white",
    "free": "green",
    "plugged": "green",
    "reading": "blink-green",
    "authorising": "blink-blue",
    "wait_plug": "blink-blue",
    "starting": "blink-blue",
    "charging": "blue",
    "paused": "blink-blue",
    "finished": "white",
    "settling": "white",
    "receipt": "green",
    "declined": "yellow",
    "out_of_service": "red",
    "recovering": "yellow",
    "refunding": "blink-blue",
    "day_end": "yellow",
    "safe_mode": "blink-red",
    "doctor": "green",
    "doctor_bad": "red",
}

_RUNNING = ("energy", "price", "rate", "time", "power", "hold")
_ENDED = ("energy", "price", "time", "hold")
_HELD = ("hold", "card")
_RECEIPT = ("energy", "price", "paid", "released", "time")
_FIGURES = {
    "authorising": _HELD,
    "wait_plug": _HELD,
    "starting": _HELD,
    "charging": _RUNNING,
    "paused": _RUNNING,
    "finished": _ENDED,
    "settling": _ENDED,
    "refunding": ("refund",),
    "receipt": ("released",),  # of a hold of which nothing was used
}


class Screen:
    """`port` is a ScreenPort; `languages` the configured codes in order, the first one is the
    charger's own.

    `ticks_ms` is real time (a person reads at the same pace whatever the charger's clock does).
    Raises ConfigError for a language there are no words for.
    """

    def __init__(
        self,
        port: "ScreenPort",
        languages: "tuple[str, ...]",
        ticks_ms: "Callable[[], int] | None" = None,
    ) -> None:
        self._port = port
        self._words = Words(languages or ("en",))
        self._ticks = ticks_ms or time.ticks_ms
        self._key = ""
        self._turned = 0
        self._page = 0
        self._turn = 0
        self._last: object = None

    def show(self, view: dict) -> None:
        """Show `view`: a dict whose keys are the session's public state (all but `state` may be
        missing).

        state, message (text key or words), price_lines (tuple of words, or a function language ->
        tuple), energy_wh, resolution_wh (step of the meter's register), power_w, price_minor,
        currency, hold_minor, elapsed_ms, stop_reason, captured_minor, released_minor and
        refund_minor (None: not known yet), receipt_no, receipt_url, pay_url, card (masked),
        language ("": none chosen), online, clock (text), on_account (nothing is held or paid
        now), own_tariff (price_lines are a member's own), and of firmware/ahead.py price_per_kwh,
        price_per_hour, change_clock, change_at_wh, hold_left_wh, hold_left_ms.
        """
        state = view["state"]
        now = self._ticks()
        key = state + " " + (view.get("message") or "")
        if key != self._key:
            self._key = key
            self._turned = now
            self._page = 0
            self._turn = 0
        elif (now - self._turned) & _TICKS_MASK >= _PAGE_MS:
            self._turned = now
            self._page += 1
        port = self._port
        words = self._words
        words.use(self._choose(view))
        body, foot = self._say(view, words)
        if self._turns(view) and self._page >= pages_of(len(body), len(foot), port.rows):
            self._page = 0
            self._turn += 1
            words.use(self._choose(view))
            body, foot = self._say(view, words)
        head = self._head(view, words)
        lines = compose(head, body, foot, port.rows, port.columns, self._page)
        qr = view.get("receipt_url" if state == "receipt" else "pay_url") or ""
        shown = (lines, qr, _LIGHTS.get(state, "white"))
        if shown != self._last:
            self._last = shown
            port.show(*shown)

    def _turns(self, view: dict) -> bool:
        return (
            len(self._words.languages) > 1 and view["state"] in _IDLE and not view.get("language")
        )

    def _choose(self, view: dict) -> str:
        languages = self._words.languages
        wanted = view.get("language")
        if wanted in languages:
            return wanted
        if view["state"] in _IDLE:
            return languages[self._turn % len(languages)]
        return languages[0]

    def _head(self, view: dict, words: Words) -> str:
        columns = self._port.columns
        title = words.say("nothing_charged" if _unused(view) else view["state"])
        corner = view.get("clock") or ""
        if not view.get("online", True):
            corner = (words.find("offline") + "  " + corner).strip()
        if len(title) + 1 + len(corner) > columns:
            corner = view.get("clock") or ""
        if not corner or len(title) + 1 + len(corner) > columns:
            return title
        return pair(title, corner, columns)

    def _say(self, view: dict, words: Words) -> "tuple[list[str], list[str]]":
        """(body, foot): lines no longer than the display is wide."""
        state = view["state"]
        columns = self._port.columns
        coded = state == "receipt" and view.get("receipt_url")
        prompt = words.find("do_receipt_code" if coded else "do_" + state)
        if view.get("pay_url"):
            prompt = words.find("do_pay")
        foot = wrap(prompt, columns)
        body = []
        if state in _REASONED:
            body = wrap(_why(view, words), columns)
        elif view.get("message"):
            foot = wrap(words.say(view["message"]), columns) + foot
        if state in ("free", "plugged", "reading"):
            body.extend(_offer(view, words, columns))
        elif state == "receipt" and not _unused(view):
            body.extend(_rows(view, words, columns, _RECEIPT))
            body.extend(_paper(view, words, columns))
        else:
            body.extend(_rows(view, words, columns, _FIGURES.get(state, ())))
            if state == "wait_plug" and view.get("own_tariff"):
                body.extend(_tariff(view, words, columns))
        return body, foot


def _unused(view: dict) -> bool:
    """The session is over and no receipt was written: the whole hold went back."""
    return view["state"] == "receipt" and not view.get("receipt_no")


def _why(view: dict, words: Words) -> str:
    """Why it ended, or does not begin; a receipt after charging needs no reason."""
    reason = view.get("message") or view.get("stop_reason") or ""
    if view["state"] == "receipt" and not _unused(view):
        reason = view.get("message") or ""
    return words.find("why_" + reason) or words.say(reason)


def _offer(view: dict, words: Words, columns: int) -> "list[str]":
    """The tariff in words, then what a tap will hold."""
    return _tariff(view, words, columns) + _rows(view, words, columns, ("hold",))


def _tariff(view: dict, words: Words, columns: int) -> "list[str]":
    lines = view.get("price_lines") or ()
    if callable(lines):
        lines = lines(words.code)
    out = []
    for line in lines:
        out.extend(wrap(line, columns))
    return out


def _paper(view: dict, words: Words, columns: int) -> "list[str]":
    """Receipt number and card: in one line where there is room for both."""
    if columns < _WIDE or not view.get("receipt_no"):
        return _rows(view, words, columns, ("receipt_no", "card"))
    number = words.find("receipt_no") + " " + str(view["receipt_no"])
    return [pair(number, view.get("card") or "", columns)]


def _rows(view: dict, words: Words, columns: int, keys: "tuple[str, ...]") -> "list[str]":
    out = []
    on_account = view.get("on_account")
    for key in keys:
        value = _figure(view, key, words.code)
        if value and not (on_account and key == "released"):
            name = words.find(_ON_ACCOUNT.get(key, key) if on_account else key)
            if key in ("rate", "hold") and "hold_left_ms" in view:
                more = _until(view, words) if key == "rate" else _left(view, words)
                if more and len(name) + len(more) + len(value) + 2 <= columns:
                    name += " " + more
            out.append(pair(name, value, columns))
    return out


def _until(view: dict, words: Words) -> str:
    """Up to when the rate is what it is: a time of day, or else an energy."""
    text = view["change_clock"]
    if not text and view["change_at_wh"] >= 0:
        text = money.trimmed(view["change_at_wh"], 3, 0, money.point(words.code)) + " kWh"
    return words.find("until").replace("%", text) if text else ""


def _left(view: dict, words: Words) -> str:
    """What the hold still buys: energy at the power of now, or time where only time costs."""
    energy, span, power = view["hold_left_wh"], view["hold_left_ms"], view["power_w"]
    if energy > 0 and span >= 0 and power > 0:  # both cost: 1 / (1 / energy + power / span)
        energy = energy * span * power // (energy * 3600000 + span * power)
    if energy >= 0 and (power > 0 or span < 0):
        text = figures.number(energy // 100, 1, words.code) + " kWh"
    elif span >= 0:
        text = figures.span(span)
    else:
        return ""
    return words.find("left").replace("%", text)


_ON_ACCOUNT = {"hold": "limit", "paid": "account"}
_MONEY = {
    "price": "price_minor",
    "hold": "hold_minor",
    "paid": "captured_minor",
    "released": "released_minor",
    "refund": "refund_minor",
}


def _figure(view: dict, key: str, language: str) -> str:
    """The figure a row shows, "" for no such row."""
    if key in _MONEY:
        minor = view.get(_MONEY[key])
        if minor is None or (key == "hold" and not minor):
            return ""
        return figures.amount(minor, view.get("currency") or "", language)
    if key == "rate":
        return _rate(view, language)
    if key == "energy":
        step = view.get("resolution_wh") or 1
        return figures.energy(view.get("energy_wh") or 0, language, step)
    if key == "power":
        return figures.power(view.get("power_w") or 0, language)
    if key == "time":
        return figures.span(view.get("elapsed_ms") or 0)
    return str(view.get(key) or "")


def _rate(view: dict, language: str) -> str:
    """Prices of now as they were given: per kWh, and per minute where 4 decimals hold that."""
    energy, hour = view.get("price_per_kwh"), view.get("price_per_hour")
    if energy is None:
        return ""
    out = []
    timed = (hour, "/h") if hour % 60 else (hour // 60, "/min")
    for price, unit in ((energy, "/kWh"), timed):
        if price or (unit == "/kWh" and not hour):
            code = view.get("currency") or ""
            text = money.trimmed(price, 4, min(money.exponent(code), 4), money.point(language))
            out.append(text + " " + money.sign(code) + unit)
    return " + ".join(out)
