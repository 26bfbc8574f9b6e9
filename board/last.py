"""The last words of a charger of which no version runs, not even in safe mode: on its screen, and
the red lamp on. /last.mpy in the file system's root, outside both slots, with the driver of the
board's screen beside it (hostsim/setup/boards.py); /main.py enters it.
"""

_WORDS = {"no_version": ("No whole program", "is stored:")}


def say(screen, red, why: str) -> None:
    """`screen`, pin `red`: of the board's DATA; `why`: what /start.mpy said. OSError, ImportError:
    there is no such screen.
    """
    from machine import I2C, Pin

    if red is not None:
        Pin(red, Pin.OUT, value=1)
    if not screen:
        return
    import time

    kind, number, sda, scl, address = screen
    driver = __import__(kind)
    i2c = I2C(number, sda=Pin(sda), scl=Pin(scl), freq=100000)
    if kind == "hd44780":
        port = driver.Hd44780(i2c, address, _NoLight, time.sleep_ms)
    else:
        port = driver.Ssd1306(i2c, address, _NoLight)
    lines = _WORDS.get(why, ("No program runs", "(%s):" % why))
    port.show(("Out of service",) + lines + ("make flash",), "", "red")


class _NoLight:
    @staticmethod
    def show(_light: str) -> None:
        """The lamp is on already."""
