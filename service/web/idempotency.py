"""Idempotency-Key on the chat route: one turn for one key and body, and its answer again for a day.

Refuses the same key with another body, and a second turn while the first one runs.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from litestar.types import Receive, Scope, Send
from msgspec import Struct, structs
from opentelemetry import trace

from service.agent.hold import Answer
from service.errors import Conflict, DatabaseAway, IdempotencyMismatch
from service.store.idempotency import Claimed
from service.web import answer, sse
from service.web.identity import KEY, identity_of
from service.web.reply import JSON, STREAM, Reply
from telemetry import names
from telemetry.failure import FieldError
from telemetry.record import Caller, RateLimit
from telemetry.recorder import microseconds

HEADER = "Idempotency-Key"
FORM = re.compile(r"[ -~]{1,255}")
WRONG = FieldError(HEADER, "Expected 1 to 255 printable ASCII characters")

DAY = 24 * 3_600 * 1_000_000
"""Microseconds that an answer is kept."""
MARGIN_MS = 10_000
"""After a turn's deadline, when the key of a process that was killed is free again."""
BUSY_MS = 1_000
"""When to come back to a key whose turn runs: nobody knows how long it will."""


class Claims(Protocol):
    """Where keys are kept; every method raises DatabaseError. Times are microseconds since 1970 (UTC)."""

    async def find(self, user_id: str, key: str, now: int) -> Claimed | None:
        """What stands for a key; None where it is free."""
        ...

    async def claim(
        self, user_id: str, key: str, *, body_digest: str, turn_id: str, now: int, until: int
    ) -> Claimed | None:
        """Claim a key for a turn; None where it is the turn's now, else what stands in the way."""
        ...

    async def keep(self, user_id: str, key: str, *, turn_id: str, answer: str, now: int, until: int) -> None:
        """Keep the answer of the turn that has the key."""
        ...

    async def release(self, user_id: str, key: str, turn_id: str) -> None:
        """Free the key, where that turn has it and was not answered."""
        ...


class Sent(Struct, frozen=True):
    """What came with a request: its key, and a digest of its raw body."""

    key: str
    body_digest: str

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """What is wrong with the key."""
        return () if FORM.fullmatch(self.key) else (WRONG,)


class Keys:
    """The keys of all callers; a turn's hold on one ends by itself after `lease_ms`."""

    def __init__(self, claims: Claims, turn_timeout_ms: int) -> None:
        self.claims, self.lease = claims, (turn_timeout_ms + MARGIN_MS) * 1_000

    async def find(self, caller: Caller, sent: Sent) -> "Mapping[str, Any] | None":
        """The answer that was given to this before; None where there is none, or the turn has to refuse.

        Raises:
            DatabaseError: nobody could look.
        """
        found = await self.claims.find(caller.person, sent.key, microseconds())
        if found is None or found.answer is None or found.body_digest != sent.body_digest:
            return None
        return msgspec.json.decode(found.answer, type=dict[str, Any])


class KeyClaim:
    """A turn's hold on its key."""

    name = "idempotency_key"

    def __init__(self, keys: Keys, caller: Caller, sent: Sent, turn_id: str) -> None:
        self._keys, self._user, self._sent, self._turn_id = keys, caller.person, sent, turn_id
        self._taken = False

    async def take(self) -> None:
        """Hold the key.

        Raises:
            Conflict: another turn holds it, or has just been answered.
            IdempotencyMismatch: it came with another body.
            DatabaseError: nobody could look.
        """
        self._taken, now = True, microseconds()  # before it is: cancelled meanwhile, it may be
        try:
            found = await self._claim(now)
        except DatabaseAway:
            self._taken = False  # nobody asked
            raise
        if found:
            self._taken = False
            self._refuse(found)

    async def settle(self, answer: Answer | None) -> None:
        """Keep the answer for a day, or free the key.

        Raises:
            DatabaseError: neither is done.
        """
        if self._taken and answer:
            await self._keep(answer)
        elif self._taken:
            await self._keys.claims.release(self._user, self._sent.key, self._turn_id)

    async def _claim(self, now: int) -> Claimed | None:
        return await self._keys.claims.claim(
            self._user,
            self._sent.key,
            body_digest=self._sent.body_digest,
            turn_id=self._turn_id,
            now=now,
            until=now + self._keys.lease,
        )

    def abandon(self) -> None:
        """Nothing: what is not settled ends by itself."""

    def _refuse(self, found: Claimed) -> None:
        if found.body_digest != self._sent.body_digest:
            raise IdempotencyMismatch(f"The {HEADER} was used with another body.")
        raise Conflict(f"A request with this {HEADER} is running, or has just ended.", retry_after_ms=BUSY_MS)

    async def _keep(self, given: Answer) -> None:
        now = microseconds()
        await self._keys.claims.keep(
            self._user,
            self._sent.key,
            turn_id=self._turn_id,
            answer=msgspec.json.encode(_told(given)).decode(),
            now=now,
            until=now + DAY,
        )


class Replay:
    """An ASGI application that gives an answer again; no turn runs, nothing is counted."""

    def __init__(self, told: Mapping[str, Any], standing: RateLimit | None, *, streamed: bool) -> None:
        self._told, self._standing, self._streamed = told, standing, streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer under the first turn's id."""
        del receive
        turn_id = self._told["id"]
        scope[KEY] = structs.replace(identity_of(scope), request_id=turn_id)  # pyright: ignore[reportGeneralTypeIssues] - ASGI lets an application add keys
        trace.get_current_span().set_attributes({names.TURN_ID: turn_id, names.IDEMPOTENCY_REPLAYED: True})
        headers = {**answer.limit_headers(self._standing), "idempotency-replayed": "true"}
        if self._streamed:
            await Reply(send).whole(200, headers | STREAM, b"".join(frames(self._told)))
        else:
            await Reply(send).whole(200, headers | JSON, msgspec.json.encode(self._told))


def _told(given: Answer) -> Mapping[str, Any]:
    return answer.whole(given.record, given.text, given.structured, given.thinking)


def frames(told: Mapping[str, Any]) -> list[bytes]:
    """A whole answer as the shortest stream there is: `turn`, `thinking` if any, one `text`, `done`."""
    made, done = sse.Frames(), dict(told)
    text, thought = done.pop("response"), done.pop("thinking", "")
    began = {name: told[name] for name in ("id", "conversationId", "model", "traceId")}
    middle = [("thinking", {"text": thought})] if thought else []
    events = [("turn", began), *middle, ("text", {"text": text}), ("done", done)]
    return [made.frame(name, data) for name, data in events]


def sent(keys: Sequence[str], body: object) -> Sent | None:
    """What came with a request; a header that came several times is one, as HTTP has it."""
    if not keys:
        return None
    return Sent(", ".join(keys), hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else "")
