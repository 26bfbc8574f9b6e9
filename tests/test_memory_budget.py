"""A session with what is configured beside it fits the memory there is: 192 KB of heap on 32 bits
with the code in RAM, 96 KB from ROMFS. With a reader for members: tests/test_rfid_sessions.py.
"""

import pytest

from hostsim.charger import Machine
from hostsim.demo import start_ms
from hostsim.world import CHARGER_ID
from tests.worlds import act, agree, charging, run, settled, until_record, until_state

pytestmark = pytest.mark.timeout(300)
EVERYTHING = {
    "extend": {"step_minor": 40, "max_minor": 70},
    "min_hold_minor": 1,
    "end_of_day_hour": 3,
    "time_zone": "UTC0",
    "pay_url": "https://pay.example/forecourt",
    "receipt_url": "https://pay.example/receipt",
    "languages": ["de", "en", "fr"],
    "refund": {"at_terminal": 1},
}


@pytest.mark.parametrize("rom", [False, True], ids=["192 KB, code in RAM", "96 KB, from ROMFS"])
def test_a_session_with_extension_receipt_and_refund_fits(rom):
    async def scenario(world):
        await charging(world)
        await until_record(world, "extend_done")
        await act(world, "stop")
        await act(world, "unplug")
        await until_record(world, "captured")
        await until_state(world, "free", "receipt")
        bill = (await settled(world))["priced"]
        refunds = world.back_office.refunds
        number = refunds.request(
            CHARGER_ID, receipt=bill["receipt_no"], amount_minor=0, reason="goodwill",
            operator="anna",
        )  # fmt: skip
        refunds.approve(number, operator="bert")
        await world.until(lambda: refunds.follow(number)["state"] == "done", 60, "the refund")
        await world.until(world.synced, 60, "the back office to have everything")
        agree(world)
        assert world.charger.resets == 0 and world.receipt, list(world.log)[-12:]
        # from ROMFS the screen's task may miss a turn: its memory is in small pieces by then
        short = [line for line in world.log if "task " in line and "MemoryError" in line]
        assert not [line for line in short if not (rom and "task view" in line)], short
        assert not [line for line in world.log if "not printed" in line]
        machine = Machine.choose(rom)
        assert world.view["heap"]["total"] <= machine.heap_kb * 1024
        assert machine.heap_kb == (96 if rom else 192) * (machine.bits // 32)

    run(scenario, rom=rom, hold_minor=40, config=EVERYTHING, wanted_wh=30000,
        start_epoch_ms=start_ms(1, "10:45"))  # fmt: skip
