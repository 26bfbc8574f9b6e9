"""`make setup`: everything this checkout needs, inside it. A second run does nothing and needs no
network.
"""

import fcntl
import os
import shutil
import signal
import sys

from hostsim.setup import BUILD, ROOT, VENV_PYTHON, environment, tools
from hostsim.setup.progress import SetupError, say, together


def _check_prerequisites() -> None:
    if sys.platform != "linux":
        raise SetupError(
            "the simulator needs Linux (ptys, MicroPython's unix port).",
            "Windows: use WSL with Debian.",
        )
    if shutil.which("git") is None:
        raise SetupError(
            "git is not installed.",
            "Debian, Ubuntu: sudo apt install git, then run make setup again.",
        )
    if not VENV_PYTHON.exists():
        environment.check_venv_module()
    if not os.access(ROOT, os.W_OK):
        raise SetupError(
            f"{ROOT} is not writable for you.", "Clone the repository into a folder of your own."
        )


def _set_up() -> None:
    BUILD.mkdir(exist_ok=True)
    with (BUILD / ".setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("  waiting for another set-up of this checkout ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        together(tools.ensure_tools, _python)


def _python() -> None:
    environment.ensure_venv()
    environment.ensure_stubs()
    environment.ensure_libraries()
    environment.ensure_localstripe()


def main() -> int:
    """Set up; 0 when everything is there, 1 with a message that says what to do otherwise."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _check_prerequisites()
        _set_up()
    except SetupError as error:
        print(f"\nset-up: {error}", file=sys.stderr)
        for line in error.advice:
            print(f"        {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up: interrupted; make setup goes on from here.", file=sys.stderr)
        return 130
    return 0


sys.exit(main())
