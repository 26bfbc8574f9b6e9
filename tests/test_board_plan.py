"""A board that clashes with itself is refused, with the reason."""

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


def test_pin_twice_is_refused() -> None:
    assert _changed(stop=(14, 0)) == ["pin 14 is feedback and stop"]
    assert _changed(lights=(18, 0, None)) == ["pin 0 is meter TX and green lamp"]


def test_jumper_may_be_the_stop_button_but_nothing_else() -> None:
    assert _changed(jumper=(13, 0)) == []
    assert _changed(jumper=(12, 0)) == ["pin 12 is emergency and jumper"]
    assert _changed(jumper=(13, 1)) == ["pin 13 is stop and jumper"]  # another level


def test_pin_the_chip_lacks_is_refused() -> None:
    assert _changed(stop=(30, 0)) == ["pin 30 (stop): rp2040 has no such pin"]
    assert _changed("wt32_eth01", feedback=(24, 0)) == ["pin 24 (feedback): esp32 has no such pin"]


def test_pin_the_chip_or_the_board_keeps_is_refused() -> None:
    assert _changed("wt32_eth01", feedback=(6, 0)) == [
        "pin 6 (feedback) is for the module's flash"
    ]
    assert _changed("esp32s3_w5500", stop=(19, 0)) == ["pin 19 (stop) is for USB"]
    assert _changed("wt32_eth01", feedback=(19, 0)) == ["pin 19 (feedback) is for the LAN8720"]
    assert _changed("w5500_evb_pico", lights=(17, None, None)) == [
        "pin 17 (red lamp) is for the W5500"
    ]
    assert _changed("wt32_eth01", feedback=(34, 0)) == [
        "pin 34 (feedback) is not led out on this board"
    ]


def test_output_on_a_pin_that_only_reads_is_refused() -> None:
    swapped = {"meter": (1, 17, 35, None), "terminal": (2, 39, 5, None)}
    assert _changed("wt32_eth01", uarts=swapped, emergency=(2, 0)) == [
        "pin 39 (terminal TX) can only read"
    ]


def test_contactor_on_a_pin_that_is_active_at_start_is_refused() -> None:
    assert _changed("wt32_eth01", contactor=(15, 1), screen=None) == [
        "pin 15: the chip starts only while the contactor's pin is active"
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
