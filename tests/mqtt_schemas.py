"""Every MQTT message of every test against docs/mqtt/schemas: `validate(topic, payload)`."""

from __future__ import annotations

import json

from hostsim.backoffice import contract


def validate(topic: str, payload: bytes | str) -> dict[str, object]:
    """The message's content. AssertionError says which field breaks the contract; unknown record
    kinds break it, too.

    An empty payload takes a retained message back and is always right.
    """
    if not payload:
        return {}
    try:
        _charger, name = contract.split_topic(topic)
        # prices are decimals; all that a charger says is whole numbers
        message = json.loads(payload) if name in ("tariff", "config") else contract.parse(payload)
        if name == "records":
            unusual = contract.check_record(message)
            assert unusual in ("", "unknown") and (
                not unusual or message["type"] in ("unknown", "lost")
            ), f"{topic}: a record of {unusual} kind: {payload!r}"
        else:
            contract.check(name, message)
    except contract.ContractError as exc:
        raise AssertionError(f"{topic}: {exc}: {payload!r}") from exc
    return message
