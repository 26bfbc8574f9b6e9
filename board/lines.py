"""The EVSE's digital lines on a microcontroller's pins (firmware/ports.py, Lines), with the
control pilot of IEC 61851-1 Annex A behind a PWM output and an ADC input.

The pilot's positive level is found as the highest of some samples, which end as soon as one shows
the state that was seen last: reading it 50 times a second costs next to nothing. The window is
longer than one period (1 ms), so even the shortest duty cycle is met.
"""

import time

from machine import ADC, PWM, Pin
from micropython import const

_PERIOD_US = const(1100)
_FREQ = const(1000)
_FULL = const(65535)


def duty(milliamps: int) -> int:
    """Duty cycle in 1/65535 for a current (IEC 61851-1, Table A.8); steady high for none."""
    if milliamps < 6000:
        return _FULL
    if milliamps <= 51000:
        return milliamps * _FULL // 60000
    return (min(milliamps, 80000) * 4 // 1000 + 640) * _FULL // 1000


class Lines:
    """`data`: a board's DATA with `contactor`, `stop`, `emergency` (pin, active level), `feedback`
    and `pilot`.
    """

    def __init__(self, data):
        pin, self._on = data["contactor"]
        self._contactor = Pin(pin, Pin.OUT, value=not self._on)
        pin, level, kind = data["feedback"]
        self._feedback, _ = _input((pin, level))
        self._closed = level if kind == "no" else 1 - level
        self._emergency, self._cut = _input(data["emergency"])
        self._button, self._held = _input(data["stop"])
        self._stop = False
        self._button.irq(self._pressed, Pin.IRQ_RISING if self._held else Pin.IRQ_FALLING)
        pilot = data["pilot"]
        self._levels = pilot["levels"]  # lowest reading (of 65535) of A, B, C, D
        self._adc = ADC(Pin(pilot["adc"]))
        if hasattr(self._adc, "atten"):  # an ESP32 measures 1 V unless told
            self._adc.atten(ADC.ATTN_11DB)
        self._pwm = PWM(Pin(pilot["pwm"]), freq=_FREQ, duty_u16=_FULL)
        self._last = 4

    def _pressed(self, _pin) -> None:
        self._stop = True

    def _state(self, reading: int) -> int:
        n = 0
        for level in self._levels:
            if reading >= level:
                return n
            n += 1
        return 4

    def pilot(self) -> str:
        read = self._adc.read_u16
        began = time.ticks_us()
        best = 4
        while True:
            best = min(best, self._state(read()))
            if best <= self._last and best < 4:
                # a level above the last one must be a real one: a second sample within reach
                break
            if time.ticks_diff(time.ticks_us(), began) > _PERIOD_US:
                break
        self._last = best
        return "ABCDE"[best]

    def feedback(self) -> bool:
        return self._feedback.value() == self._closed

    def emergency(self) -> bool:
        return self._emergency.value() == self._cut

    def stop_pressed(self) -> bool:
        pressed = self._stop
        self._stop = False
        return pressed

    def stop_held(self) -> bool:
        return self._button.value() == self._held

    def contactor(self, closed: bool) -> None:
        self._contactor.value(self._on if closed else not self._on)

    def offer(self, milliamps: int) -> None:
        self._pwm.duty_u16(duty(milliamps))


def _input(wire):
    pin, level = wire
    return Pin(pin, Pin.IN, Pin.PULL_DOWN if level else Pin.PULL_UP), level
