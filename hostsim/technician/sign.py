"""Signs a charger's certificate request with the authority that made the broker's certificate.

    python -m hostsim.technician.sign PKI REQUEST

Where the operator has an authority of his own, it signs the request instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hostsim.pki import Pki, PkiError
from hostsim.technician.say import say


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m hostsim.technician.sign PKI REQUEST\n")
        return 2
    folder, request = map(Path, arguments)
    try:
        pki = Pki(folder)
        name, certificate = pki.sign(request.read_bytes())
        path = request.with_name(f"{name}.crt")
        path.write_bytes(certificate)
        say(f"CERT={path} CA={pki.ca} COMMAND_KEY={pki.command_key_of(name)}")
    except (PkiError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
