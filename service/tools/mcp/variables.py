"""`${NAME}` in the file of MCP servers, filled in out of the environment.

Refuses a name that is not there: an empty token would be sent as if it were one.
"""

import re
from collections.abc import Callable, Mapping

from config import Secret
from config.source import Unreadable, read_secret

PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
"""A name, and what holds where it is not set: `${TOKEN}`, `${REGION:-eu}`."""


class Filled:
    """Fills texts in; what is not there is told by its place."""

    def __init__(self, environ: Mapping[str, str], complain: Callable[[str, str], None]) -> None:
        self._environ, self._complain = environ, complain

    def one(self, place: str, text: str) -> str:
        """A text with every name filled in; as it is where one is not there, which is told."""
        try:
            return PLACE.sub(self._value, text)
        except Unreadable as error:
            self._complain(place, str(error))
            return text

    def secrets(self, place: str, texts: Mapping[str, str]) -> Mapping[str, Secret]:
        """Several texts by name."""
        return {name: Secret(self.one(f"{place}.{name}", text)) for name, text in texts.items()}

    def _value(self, found: re.Match[str]) -> str:
        name, otherwise = found[1], found[2]
        if value := self._environ.get(name):
            return value
        if file := self._environ.get(f"{name}_FILE"):
            try:
                return read_secret(file)
            except Unreadable as error:
                raise Unreadable(f"{name}_FILE: {error}") from None
        if otherwise is None:
            raise Unreadable(f"${{{name}}}: there is no such variable in the environment")
        return otherwise
