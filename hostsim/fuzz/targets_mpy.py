"""The firmware's parsers as targets of the fuzz, by name."""

from broker_mpy import Mqtt, Sntp  # type: ignore[import-not-found]
from devices_mpy import Modbus, Zvt  # type: ignore[import-not-found]
from flash_mpy import Record  # type: ignore[import-not-found]
from members_mpy import Members  # type: ignore[import-not-found]
from office_mpy import Config, Tariff, Zone  # type: ignore[import-not-found]
from orders_mpy import Orders  # type: ignore[import-not-found]

TARGETS = {
    "modbus": Modbus,
    "zvt": Zvt,
    "mqtt": Mqtt,
    "sntp": Sntp,
    "orders": Orders,
    "record": Record,
    "config": Config,
    "tariff": Tariff,
    "zone": Zone,
    "members": Members,
}
