"""Runs localstripe, in a process that has build/localstripe on its path: argv is port and file.

Unlike its own start it listens on 127.0.0.1 only, keeps what it knows in the world's directory
(its own is one file for the whole machine) and writes that once a request, not once an object.
Nothing of what it answers is changed.
"""

import os
import pickle
import sys

from aiohttp import web
from localstripe import resources, server

PORT, FILE = int(sys.argv[1]), sys.argv[2]


def load(store: resources.Store) -> None:
    """What an earlier run kept."""
    if os.path.exists(FILE):
        with open(FILE, "rb") as f:
            store.update(pickle.load(f))  # our own file


def dump(store: resources.Store) -> None:
    """Whole or not at all."""
    with open(FILE + ".new", "wb") as f:
        pickle.dump(store, f, protocol=pickle.HIGHEST_PROTOCOL)
    os.replace(FILE + ".new", FILE)


resources.Store.__setitem__ = dict.__setitem__
resources.Store.__delitem__ = dict.__delitem__
resources.Store.dump_to_disk = dump
load(resources.store)
web.run_app(server.app, host="127.0.0.1", port=PORT, access_log=None, print=None)
