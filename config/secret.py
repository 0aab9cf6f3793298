"""A value that does not print itself.

Refuses to be text: whoever needs the value says `reveal()`, everything else gets `***`.
"""

import hmac
from typing import Final, Self

MASK: Final = "***"


class Secret:
    """A password, key or token that no log line, traceback, table or pickle shows.

    Equality takes the same time wherever two secrets of one length differ. A copy is the secret itself;
    a pickle holds only the mask, so that a secret never leaves the process by accident.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self.__value

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self.__value), _bytes(other.reveal()))

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        return (Secret, (MASK,))


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
