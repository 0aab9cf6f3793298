"""Signing in at a provider: there with a question that only this browser can finish, and back as a session.

Refuses an answer to no question of this browser's, one that came before, and one that another provider gives.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from logging import WARNING
from typing import NoReturn

from service.auth.oidc import Client, Granted, Question, said
from service.auth.pending import NOT_OURS, Answer, Drawer, Pending
from service.auth.provider import AWAY, Discovery, Provider, ProviderFailed
from service.auth.roles import Person, Roles
from service.errors import Forbidden, Unauthenticated, UpstreamUnreachable
from telemetry import log, names

DENIED = "access_denied"
PASSING = frozenset({"server_error", "temporarily_unavailable"})
"""Errors of a provider that another attempt may mend."""
WORD = re.compile(r"[a-z_]{1,64}")
OTHER_ISSUER = "The answer is of another provider than the one that was asked."

Clock = Callable[[], int]
"""Microseconds since 1970 (UTC)."""
Spend = Callable[[str, int, int], Awaitable[bool]]
"""Notes an id as spent until a moment, now; False where it was. Microseconds since 1970 (UTC)."""
Begin = Callable[[str, str, str], Awaitable[str]]
"""Person, role and method -> the token of a session that begins; raises DatabaseError."""


class SignIn:
    """The sign-ins at one provider."""

    def __init__(
        self, discovery: Discovery, client: Client, drawer: Drawer, roles: Roles, spend: Spend, begin: Begin
    ) -> None:
        self._discovery, self._client, self._drawer = discovery, client, drawer
        self._roles, self._spend, self._begin = roles, spend, begin

    async def start(self, to: str) -> tuple[str, str]:
        """Where the browser goes, and the cookie that it keeps meanwhile; `to` is where it is led afterwards.

        Raises:
            UpstreamUnreachable: the provider cannot be had.
        """
        provider, pending = await self._discovery.provider(), self._drawer.begin(to)
        question = Question(pending.state, pending.nonce, pending.verifier)
        return self._client.lead(provider, question), self._drawer.seal(pending)

    async def finish(self, answer: Answer, cookie: str, now: int) -> tuple[str, str]:
        """The session's token, and where the browser is led; `now` is microseconds since 1970 (UTC).

        Raises:
            Unauthenticated: it is no answer to a question of this browser's, or says nothing that is trusted.
            Forbidden: the provider, or nobody's giving a role, says no.
            UpstreamUnreachable: the provider cannot be used.
            DatabaseError: nobody could note that it is finished.
        """
        pending = self._drawer.open(cookie, answer.state)
        provider = await self._discovery.provider()
        _of_this(provider, answer)
        if not await self._spend(pending.id, pending.until, now):
            raise Unauthenticated(NOT_OURS)
        if answer.error or not answer.code:
            _refused(answer.error)
        person = await self._person(provider, answer.code, pending, now // 1_000_000)
        return await self._begin(person.person, person.role, "oidc"), pending.to

    async def _person(self, provider: Provider, code: str, pending: Pending, now: int) -> Person:
        granted = await self._redeemed(provider, code, pending.verifier)
        payload, algorithm = await self._discovery.proven(provider, granted.id_token)
        claims = said(payload, algorithm, granted, pending.nonce)
        self._client.check(claims, provider, now)
        return self._roles.person(claims)

    async def _redeemed(self, provider: Provider, code: str, verifier: str) -> Granted:
        try:
            return await asyncio.to_thread(self._client.redeem, provider, code, verifier)
        except ProviderFailed as error:
            log.say(names.SIGN_IN_FAILED, WARNING, error=str(error))
            raise UpstreamUnreachable(AWAY, retry_after_ms=1_000) from error


def _of_this(provider: Provider, answer: Answer) -> None:
    """Let an answer pass that names this issuer, or none where the provider does not always (RFC 9207)."""
    named = answer.iss or provider.authorization_response_iss_parameter_supported
    if named and answer.iss != provider.issuer:
        raise Unauthenticated(OTHER_ISSUER)


def _refused(error: str) -> NoReturn:
    """The provider's own no; of its words only one that is a word is repeated."""
    word = error if WORD.fullmatch(error) else "no code"
    if word in PASSING:
        log.say(names.SIGN_IN_FAILED, WARNING, error=f"authorization endpoint: {word}")
        raise UpstreamUnreachable(AWAY, retry_after_ms=1_000)
    kind = Forbidden if word == DENIED else Unauthenticated
    raise kind(f"The sign-in provider refused: {word}.")
