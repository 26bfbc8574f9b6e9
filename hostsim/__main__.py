"""`python -m hostsim`: every command of the simulator, each with its own --help."""

from __future__ import annotations

import typer

from hostsim import command_cli, commands, refund_cli
from hostsim.backoffice import cli as backoffice
from hostsim.backoffice import gateway_cli as gateway
from hostsim.backoffice import members_cli as members
from hostsim.fleet import cli as fleet
from hostsim.fuzz import cli as fuzz
from hostsim.meter import cli as meter
from hostsim.ocmf import cli as ocmf
from hostsim.powercut import cli as powercut
from hostsim.pricing import cli as pricing
from hostsim.soak import cli as soak
from hostsim.starve import cli as starve
from hostsim.terminal import cli as terminal

app = typer.Typer(
    help="Forecourt's host simulator: a charger with its real firmware, and the world around it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_PARTS = (
    commands, refund_cli, command_cli, soak, fuzz, pricing, terminal, meter, backoffice, members,
    gateway, fleet, powercut, starve, ocmf,
)  # fmt: skip
for part in _PARTS:
    part.register(app)


def main() -> None:
    """Runs the command line; exit codes: 0 done, 1 it did not work, 2 wrong usage or input, 130
    interrupted.
    """
    app()


if __name__ == "__main__":
    main()
