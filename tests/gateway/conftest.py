"""What most gateway tests stand on: a house at the gateway in memory, or at localstripe's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostsim.gateway.faults import HookFaults
from hostsim.gateway.proxy import Proxy
from tests.gateway.pay import TILL, House, running_proxy, stripe_at


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    """localstripe's process and the proxy."""
    with running_proxy() as found:
        yield found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, TILL)
    yield found
    found.close()


@pytest.fixture
def at_stripe(tmp_path: Path, proxy: Proxy) -> Iterator[House]:
    found = House(tmp_path, stripe_at(proxy))
    yield found
    proxy.faults.clear()
    proxy.hooks.url = ""
    proxy.hooks.faults = HookFaults()
    proxy.like.refund_state = "succeeded"
    found.close()
