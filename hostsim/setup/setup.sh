#!/bin/sh
# `make setup`: finds a Python that will do, then hands over to hostsim/setup/__main__.py.
set -eu
cd "$(dirname "$0")/../.."

fail() {
    printf '\nset-up: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '        %s\n' "$line" >&2; done
    exit 1
}

for candidate in ${PYTHON:-} python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$candidate" -m hostsim.setup "$@"
    fi
done
if command -v python3 >/dev/null 2>&1; then
    fail "Python 3.11 or newer is needed; python3 here is $(python3 --version 2>&1 | cut -d' ' -f2)." \
        "Install a newer one (Ubuntu 22.04: sudo apt install python3.11 python3.11-venv), then run make setup again." \
        "A Python elsewhere: make setup PYTHON=/path/to/python3.11"
fi
fail "Python 3 is not installed." "Debian, Ubuntu: sudo apt install python3 python3-venv, then run make setup again."
