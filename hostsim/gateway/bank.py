"""The page of a payer's bank that asks to confirm (3-D Secure), as far as tests need one."""

from __future__ import annotations

import html

PATH = "/_bank/"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Test bank</title><body style="font-family:sans-serif;max-width:26rem;margin:2rem auto">
<h1>Test bank</h1><p>This is the simulator's bank, no real one. Confirm the payment?</p>
<form method="post" action="{action}">
<button name="answer" value="yes">Confirm</button>
<button name="answer" value="no">Refuse</button></form></body></html>"""


def page(path: str, query: str) -> str:
    """Two buttons."""
    return _PAGE.format(action=html.escape(f"{path}?{query}", quote=True))
