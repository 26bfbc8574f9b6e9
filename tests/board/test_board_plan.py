"""A board that clashes with itself is refused, with the reason."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from board import plan


def _changed(board: str = "pico", **changes: Any) -> list[str]:
    data = dict(plan.load(board))
    data.update(changes)
    return plan.faults(data)


def _uarts(**changes: Any) -> list[str]:
    uarts = dict(plan.load("pico")["uarts"])
    uarts.update(changes)
    return _changed(uarts=uarts)


def test_every_board_there_is_can_be() -> None:
    assert len(plan.names()) == 5
    for name in plan.names():
        assert plan.load(name)["name"] == name


def test_unknown_board_is_refused_with_those_that_are() -> None:
    with pytest.raises(plan.PlanError, match="no board 'pico3'; there are: .*wt32_eth01"):
        plan.load("pico3")


def test_module_that_says_it_is_another_board_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__("board.pico", None, None, ("DATA",))
    monkeypatch.setattr(module, "DATA", dict(plan.load("w5500_evb_pico")))
    with pytest.raises(plan.PlanError, match="board pico: its DATA is that of w5500_evb_pico"):
        plan.load("pico")


def test_feedback_is_a_contact_of_one_of_two_kinds_whose_level_follows_the_contactor() -> None:
    assert _changed(feedback=(14, 0, "co")) == ["feedback: a contact is nc or no, not 'co'"]
    assert _changed(feedback=(14, 0)) == ["feedback must be (pin, level, text)"]
    for kind, level, closed, opened in (("no", 0, 0, 1), ("nc", 0, 1, 0), ("nc", 1, 0, 1)):
        data = plan.load("pico") | {"feedback": (14, level, kind)}
        assert plan.faults(data) == []
        assert (plan.feedback_level(data, True), plan.feedback_level(data, False)) == (
            closed, opened,
        )  # fmt: skip


def test_pin_twice_is_refused() -> None:
    assert _changed(stop=(14, 0)) == ["pin 14 is feedback and stop"]
    assert _changed(lights=(18, 0, None)) == ["pin 0 is meter TX and green lamp"]


def test_jumper_may_be_the_stop_button_of_an_esp32_but_nothing_else() -> None:
    assert plan.shares_stop(plan.load("wt32_eth01"))
    assert _changed("esp32s3_w5500", jumper=(6, 0)) == []
    assert _changed(jumper=(13, 0)) == ["pin 13: only an esp32's jumper may be the stop button's"]
    assert _changed(jumper=(12, 0)) == ["pin 12 is emergency and jumper"]
    assert _changed(jumper=(13, 1)) == ["pin 13 is stop and jumper"]  # another level


def test_pin_the_chip_lacks_is_refused() -> None:
    assert _changed(stop=(30, 0)) == ["pin 30 (stop): rp2040 has no such pin"]
    assert _changed("wt32_eth01", feedback=(24, 0, "nc")) == [
        "pin 24 (feedback): esp32 has no such pin"
    ]


def test_pin_the_chip_or_the_board_keeps_is_refused() -> None:
    assert _changed("wt32_eth01", feedback=(6, 0, "nc")) == [
        "pin 6 (feedback) is for the module's flash"
    ]
    assert _changed("esp32s3_w5500", stop=(19, 0)) == ["pin 19 (stop) is for USB"]
    assert _changed("wt32_eth01", feedback=(19, 0, "nc")) == [
        "pin 19 (feedback) is for the LAN8720"
    ]
    assert _changed("w5500_evb_pico", lights=(17, None, None)) == [
        "pin 17 (red lamp) is for the W5500"
    ]
    assert _changed("wt32_eth01", feedback=(34, 0, "nc")) == [
        "pin 34 (feedback) is not led out on this board"
    ]


def test_output_on_a_pin_that_only_reads_is_refused() -> None:
    swapped = {"meter": (1, 17, 35, None), "terminal": (2, 39, 5, None)}
    assert _changed("wt32_eth01", uarts=swapped, screen=None, emergency=(14, 0)) == [
        "pin 39 (terminal TX) can only read"
    ]


def test_contactor_on_a_pin_that_is_active_at_start_is_refused() -> None:
    assert _changed("wt32_eth01", contactor=(15, 1), screen=None) == [
        "pin 15: the chip starts only while the contactor's pin is active"
    ]


def test_pin_by_which_the_chip_starts_has_no_contact_and_nothing_that_pulls_it_the_other_way() -> (
    None
):
    def wt32(rx: int, pwm: int, **changes: Any) -> list[str]:
        pilot = dict(plan.load("wt32_eth01")["pilot"], pwm=pwm)
        uarts = {"meter": (1, 17, rx, None), "terminal": (2, 2, 35, None)}
        return _changed("wt32_eth01", **({"uarts": uarts, "pilot": pilot} | changes))

    assert wt32(5, 12) == []
    assert wt32(12, 5) == ["pin 12 (meter RX) is high at rest, the chip starts only while low"]
    assert wt32(5, 32, feedback=(12, 1, "nc")) == [
        "pin 12 (feedback): how the chip starts hangs on it, no contact may"
    ]
    uarts = {"meter": (1, 17, 5, None), "terminal": (2, 33, 35, None)}
    assert wt32(5, 12, uarts=uarts, stop=(2, 0), jumper=(2, 0)) == [
        "pin 2 (stop): how the chip starts hangs on it, no contact may"
    ]
    assert wt32(5, 14, screen=("hd44780", 0, 12, 15, 0x27)) == [
        "pin 12 (screen SDA) is high at rest, the chip starts only while low"
    ]


def test_uart_twice_or_not_free_is_refused() -> None:
    assert "UART 0 is meter and terminal" in _uarts(terminal=(0, 12, 13, None))
    assert _uarts(terminal=(2, 4, 5, None)) == ["terminal: UART 2 is not free"]


def test_peripheral_on_a_pin_it_cannot_have_is_refused() -> None:
    assert _uarts(terminal=(1, 6, 5, None)) == [
        "terminal: pin 6 cannot be TX of UART 1, only 4, 8, 20, 24"
    ]
    assert _changed(screen=("ssd1306", 0, 6, 7, 0x3C)) == [
        "screen: pin 6 cannot be SDA of I2C 0, only 0, 4, 8, 12, 16, 20, 24, 28",
        "screen: pin 7 cannot be SCL of I2C 0, only 1, 5, 9, 13, 17, 21, 25, 29",
    ]
    assert _changed(screen=("ssd1306", 1, 6, 7, 0x27)) == ["screen: no ssd1306 is at address 0x27"]


def test_pilot_without_analogue_input_or_with_levels_that_do_not_fall_is_refused() -> None:
    pilot = plan.load("pico")["pilot"]
    assert _changed(pilot={"pwm": 16, "adc": 17, "levels": pilot["levels"]}) == [
        "pilot: pin 17 has no analogue input"
    ]
    assert _changed(pilot={"pwm": 16, "adc": 26, "levels": (7400, 22300, 37200, 52100)}) == [
        "pilot: the four levels must fall, between 65535 and 0"
    ]


def test_ledger_over_the_file_system_or_outside_the_flash_is_refused() -> None:
    assert _changed(ledger=(280, 64)) == ["the ledger lies over the file system"]
    assert _changed(ledger=(320, 64)) == ["ledger ends at 1572864, the flash at 1441792"]
    assert _changed(files=(0, 286)) == ["files begins in what is MicroPython's (before 8192)"]
    assert _changed(ledger=(344, 8)) == ["the ledger needs 16 sectors, it has 8"]
    parts = {"vfs": (0x200000, 0x1C0000), "ledger": (0x3C0100, 0x3F000)}
    assert _changed("wt32_eth01", partitions=parts) == [
        "ledger does not begin and end with a sector of 4096 bytes"
    ]
    parts = {"vfs": (0x200000, 0x1D0000), "ledger": (0x3C0000, 0x40000)}
    assert _changed("wt32_eth01", partitions=parts) == ["the ledger lies over the file system"]


def test_watchdog_above_the_chips_limit_is_refused() -> None:
    assert _changed(watchdog_ms=8389) == ["watchdog_ms 8389: rp2040 allows 1000 to 8388"]
    assert _changed(watchdog_ms=8388) == []


def test_entry_that_is_missing_is_named() -> None:
    data = dict(plan.load("pico"))
    del data["feedback"]
    assert plan.faults(data) == ["feedback missing"]
    data = dict(plan.load("wt32_eth01"))
    del data["partitions"]
    assert plan.faults(data) == ["partitions missing"]
    assert _changed("wt32_eth01", ledger=(288, 64)) == ["ledger is not for this chip"]


def test_network_that_the_chip_or_the_board_cannot_have_is_refused() -> None:
    spi = {"spi": (0, 18, 19, 16), "cs": 17, "int": 21, "reset": 20}
    assert _changed(lights=(None,) * 3, network=spi, pilot=plan.load("pico")["pilot"]) == [
        "pin 16 is pilot PWM and W5500 MISO",
        "network: on rp2040 only the image's own W5500 (wiznet)",
    ]
    spi = {"spi": (1, 18, 19, 20), "cs": 17, "int": 21, "reset": 3}
    faults = _changed(lights=(None,) * 3, network=spi)
    assert faults[:2] == [
        "network: pin 18 cannot be SCK of SPI 1, only 10, 14, 26",
        "network: pin 19 cannot be MOSI of SPI 1, only 11, 15, 27",
    ]
    assert _changed(network={"wiznet": True}) == ["network: the image RPI_PICO has no W5500"]
    assert _changed(network={"wifi": True}) == ["network: rp2040 has no Wi-Fi"]
    lan = plan.load("wt32_eth01")["network"]
    for key, other in (("mdc", 17), ("mdio", 23), ("power", 4), ("clock", 17), ("phy", 0)):
        found = _changed("wt32_eth01", network=lan | {key: other})
        assert len(found) == 1 and found[0].startswith(
            "network: this board's LAN8720 is {'mdc': 23"
        )
    assert _changed("wt32_eth01", network=lan | {"wifi": True}) == []
    assert _changed("esp32s3_w5500", network=lan) == ["network: this board's LAN8720 is missing"]
    spi = dict(plan.load("esp32s3_w5500")["network"])
    assert _changed("esp32s3_w5500", network=spi | {"spi": (0, 12, 11, 13)}) == [
        "network: SPI 0 is not free"
    ]
    del spi["cs"]
    assert _changed("esp32s3_w5500", network=spi) == ["network: cs missing"]


def test_supply_is_measured_where_the_board_measures_it() -> None:
    assert _changed(supply=(28, 9900)) == ["supply: pin 28 does not measure it on this board"]
    assert _changed(supply=(14, 9900)) == ["supply: pin 14 has no analogue input"]
    assert _changed(supply=(29, 3300)) == ["supply: 3300 mV at full scale cannot show 5 V"]


def test_meter_and_terminal_need_a_uart() -> None:
    uarts = plan.load("pico")["uarts"]
    assert _changed(uarts={"terminal": uarts["terminal"]}) == ["uarts: meter missing"]
    assert _changed(uarts={"meter": uarts["meter"]}) == ["uarts: terminal missing"]
    assert _uarts(printer=(1, 4, 5, None)) == ["uarts: there is no role printer"]
    assert _changed(contactor=(15, 2)) == ["contactor: 2 is no level"]


Path = tuple[Any, ...]


def _parts(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where there is something in the data: every dict's and tuple's parts, and theirs."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inner:
        yield (*path, key)
        if isinstance(part, dict | tuple):
            yield from _parts(part, (*path, key))


def _with(value: Any, path: Path, new: Any) -> Any:
    """A copy with something else there; `...`: with nothing there."""
    key, *rest = path
    if isinstance(value, dict):
        out = {k: v for k, v in value.items() if k != key or rest or new is not ...}
        if rest or new is not ...:
            out[key] = _with(value[key], tuple(rest), new) if rest else new
        return out
    parts = list(value)
    parts[key : key + 1] = (
        [_with(parts[key], tuple(rest), new)] if rest else [new] * (new is not ...)
    )
    return tuple(parts)


def _named(path: Path, faults: list[str]) -> bool:
    """Every line says which entry it is about."""
    words = [str(part) for part in path if isinstance(part, str)]
    shown = {"name": "board/models.py", "watchdog_ms": "watchdog_ms"}
    words += [shown.get(words[0], words[0])]
    return all(any(word in fault for word in words) for fault in faults)


@pytest.mark.parametrize("board", plan.names())
def test_entry_of_a_wrong_form_is_refused_and_named_wherever_it_is(board: str) -> None:
    data = plan.load(board)
    before = copy.deepcopy(data)
    absent = {"supply": (), "wifi": ()}  # what a board need not have
    for path in _parts(data):
        for value in ("?", b"?", 3.5, -1, 1 << 40, (), [], [1, 2], {}, {"a": 1}, object(), ...):
            faults = plan.faults(_with(data, path, value))
            if value is ... and path[-1] in absent:
                continue
            assert faults, (path, value)
            assert _named(path, faults), (path, value, faults)
    assert data == before
    assert plan.faults(data | {"colour": 3}) == ["colour: there is no such entry"]
    assert plan.faults(None) == ["DATA is no dict"]  # type: ignore[arg-type]


_PINS = {
    "uarts": (1, 2, 3), "contactor": (0,), "feedback": (0,), "stop": (0,), "emergency": (0,),
    "jumper": (0,), "pilot": ("pwm", "adc"), "lights": (0, 1, 2), "screen": (2, 3),
    "network": ("cs", "int", "reset", "mdc", "mdio", "power", "clock"),
    "supply": (0,), "spi": (1, 2, 3),
}  # fmt: skip


def _pins_of(data: dict[str, Any]) -> list[tuple[Path, int]]:
    found = []
    for path in _parts(data):
        value: Any = data
        for key in path:
            value = value[key]
        group = "spi" if "spi" in path else path[0]
        is_pin = path[-1] in _PINS.get(group, ()) and isinstance(value, int)
        if is_pin and "levels" not in path:
            found.append((path, value))
    return found


@pytest.mark.parametrize("board", plan.names())
def test_no_pin_can_be_two_things(board: str) -> None:
    """Every pin of the data put onto every other one's."""
    data = plan.load(board)
    pins = _pins_of(data)
    assert len(pins) > 15
    for path, mine in pins:
        for other, theirs in pins:
            shared = {path[0], other[0]} == {"stop", "jumper"} and "partitions" in data
            if theirs == mine or shared:
                continue
            faults = plan.faults(_with(data, path, theirs))
            assert faults, (path, other, theirs)
