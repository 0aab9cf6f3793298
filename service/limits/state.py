"""What a store in memory keeps for one key, and how it is asked.

Refuses to know the kinds: counts, quantities and leases are files of their own, each with a state like this.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol, Self

from msgspec import Struct

from service.limits.demand import Part, Rule, Standing

Key = tuple[str, str, str]
"""Tag of the demand, name of the rule, subject: texts, shortened."""
LONGEST = 63
"""Characters of a text that is kept as it is. A digest has one more, so that no text can pass for one."""


class Moment(Struct, frozen=True, gc=False):
    """When something is asked, by the store's clock (nanoseconds), and who would hold its leases."""

    now: int
    lease: str


class Live(Struct, frozen=True, kw_only=True):
    """What still counts for one key, for a store that does not know it; times are nanoseconds.

    `ages` are those of a count's admissions, the oldest first. `ahead` is a quantity's time until nothing is
    used, by its rule. `leases` are holders and the time that each has left.
    """

    tag: str
    subject: str
    rule: Rule
    ages: Sequence[int] = ()
    ahead: int = 0
    leases: Sequence[tuple[str, int]] = ()


class State(Protocol):
    """A key's state: whole numbers, no clock. Times are nanoseconds of one clock, and do not run backwards.

    `rule` is the one that it was last charged by. `until` is its keeper's: when to look whether it may go.
    """

    rule: Rule
    until: int

    def wait(self, part: Part, moment: Moment) -> int | None:
        """Nanoseconds until the part is admitted: 0 where it is, None where it never will be."""
        ...

    def take(self, part: Part, moment: Moment) -> None:
        """Count it, whether it would be admitted or not."""
        ...

    def stand(self, rule: Rule, now: int, wait: int | None) -> Standing:
        """Say how it stands by a rule; `wait` is what was told for the same rule and moment."""
        ...

    def is_idle(self, now: int) -> bool:
        """Whether a new state would decide all that is still to come as this one does."""
        ...

    def live(self, tag: str, subject: str, now: int) -> Live:
        """Say what still counts."""
        ...

    @classmethod
    def least(cls, states: Sequence[Self], rule: Rule, now: int) -> Self:
        """Return a state of its own: no laxer than any key that is covered by every one of these may have."""
        ...

    def cover(self, other: Self) -> None:
        """Become no laxer than another, for all keys that this is shared by."""
        ...


def key_of(tag: str, part: Part) -> Key:
    """Whose state a part is about. Equal keys share it."""
    return short(tag), part.rule.name, short(part.subject)


def packed(key: Key) -> str:
    """Return one text for a key, and no other's: it takes half the room of three."""
    tag, name, subject = key
    return f"{chr(len(tag))}{tag}{chr(len(subject))}{subject}{name}"


def unpacked(text: str) -> Key:
    """Return the key that was packed."""
    middle = 1 + ord(text[0])
    end = middle + 1 + ord(text[middle])
    return text[1:middle], text[end:], text[middle + 1 : end]


def short(text: str) -> str:
    """Return a text that takes bounded room: itself, or its digest where it is long."""
    if len(text) <= LONGEST:
        return text
    # names may hold lone surrogates, which have no UTF-8
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
