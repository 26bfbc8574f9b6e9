"""Finds the words. Each language is one module with a few texts of `key=words` lines: no dict of a
hundred in RAM, and no piece above 1 KB, which a heap in small pieces may not have. Only the
language that is shown is there, the one before is left.
"""

from firmware.errors import ConfigError
from firmware.paper import leave as _leave

LANGUAGES = ("en", "de", "fr")
_MODULES = ("firmware.screen.texts_en", "firmware.screen.texts_de", "firmware.screen.texts_fr")


class Words:
    """The words of one of `languages` at a time; `code` (ISO 639-1) says which, first the first.

    Raises ConfigError for a language there are no words for.
    """

    def __init__(self, languages: "tuple[str, ...]") -> None:
        for code in languages:
            if code not in LANGUAGES:
                raise ConfigError("languages", "one of " + ", ".join(LANGUAGES), code)
        self.languages = languages
        self.code = ""
        self._texts: "tuple[str, ...]" = ()
        self.use(languages[0])

    def use(self, code: str) -> None:
        """Take `code`, one of `languages`; the words that were there before leave the memory.
        After a MemoryError there are none, and the next call tries again.
        """
        if code == self.code:
            return
        if self.code:
            self._texts = ()
            leave(self.code)
            self.code = ""
        self._texts = __import__(_name(code), None, None, ("TEXT",)).TEXT
        self.code = code

    def find(self, key: str) -> str:
        """The words for `key`, "" when there are none."""
        if not key or "=" in key or "\n" in key:
            return ""
        mark = "\n" + key + "="
        for text in self._texts:
            start = text.find(mark)
            if start >= 0:
                start += len(mark)
                return text[start : text.find("\n", start)]
        return ""

    def say(self, key_or_text: str) -> str:
        """The words for a key; what is no key is shown as it came, a text of the terminal's."""
        return self.find(key_or_text) or key_or_text

    def keys(self) -> "list[str]":
        return [line.split("=")[0] for text in self._texts for line in text.split("\n") if line]


def leave(code: str) -> None:
    """Give the memory of a language back."""
    _leave(_name(code))


def _name(code: str) -> str:
    return _MODULES[LANGUAGES.index(code)]
