"""Finds the words. Each language is one module with one text of `key=words` lines: one object in
RAM, not a dict of a hundred; only the configured languages are imported.
"""

from firmware.errors import ConfigError

LANGUAGES = ("en", "de", "fr")


class Words:
    """The words of one language. `code` is its ISO 639-1 code."""

    def __init__(self, code: str) -> None:
        if code not in LANGUAGES:
            raise ConfigError("languages", "one of " + ", ".join(LANGUAGES), code)
        name = "firmware.screen.texts_" + code
        self.code = code
        self._text = __import__(name, None, None, ("TEXT",)).TEXT

    def find(self, key: str) -> str:
        """The words for `key`, "" when there are none."""
        if not key or "=" in key or "\n" in key:
            return ""
        mark = "\n" + key + "="
        start = self._text.find(mark)
        if start < 0:
            return ""
        start += len(mark)
        return self._text[start : self._text.find("\n", start)]

    def say(self, key_or_text: str) -> str:
        """The words for a key; what is no key is shown as it came (a text the terminal itself
        sent).
        """
        return self.find(key_or_text) or key_or_text

    def keys(self) -> "list[str]":
        return [line.split("=")[0] for line in self._text.split("\n") if line]
