"""What the card terminal printed for the driver, under the receipt. Entered once a session and
left again.
"""


def show(app) -> None:
    """Line by line to whoever prints; `app`: firmware.app.App."""
    text = app.terminal.receipt_text
    begin = 0
    end = text.find("\n")
    while end >= 0:
        app.trace("receipt", {"number": app.printed, "line": text[begin:end]})
        app.printed += 1
        begin = end + 1
        end = text.find("\n", begin)
