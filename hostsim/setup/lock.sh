#!/bin/sh
# `make lock`: writes requirements.lock, the emulator's, localstripe's and the stubs' locks from pyproject.toml, for Python 3.11 and
# later on every platform, with hashes and without the name of any index.
set -eu
cd "$(dirname "$0")/../.."
[ -x build/lock/bin/uv ] || { .venv/bin/python -m venv build/lock; build/lock/bin/pip install -q uv; }
lock() {
    build/lock/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-emit-index-url --no-header --no-annotate ${UPGRADE:+--upgrade} "$@"
}
lock pyproject.toml --group dev -o requirements.lock
lock --group "pyproject.toml:localstripe" -o hostsim/setup/localstripe.lock
lock --group "pyproject.toml:emulator" -o hostsim/setup/emulator.lock
for port in unix rp2 esp32; do
    lock --group "pyproject.toml:stubs-$port" -o "hostsim/setup/stubs-$port.lock"
done
echo "Written. The next make setup installs what changed. (make lock UPGRADE=1 takes newer versions.)"
