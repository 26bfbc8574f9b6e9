"""Words for engineers: what a ZVT command is called. Loaded only when somebody looks."""

_NAMES = (
    "0401 set time,040F result,04FF intermediate status,0501 status enquiry,0600 registration,"
    "060F completion,061E aborted,0622 reservation,0623 partial reversal,0624 book total,"
    "0625 cancel reservation,0630 reversal,0631 refund,0650 end of day,0670 diagnosis,"
    "0693 initialisation,06B0 abort,06C0 read card,06D1 print line,06D3 print block,8000 done,"
)


def name(command: int) -> str:
    """An engineer's word for a command."""
    at = _NAMES.find(f"{command:04X} ")
    if at < 0:
        return "refused" if command >> 8 == 0x84 else "unknown"
    return _NAMES[at + 5 : _NAMES.find(",", at)]
