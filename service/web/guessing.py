"""Who guesses is held off, by address: counted where a credential is refused, asked before anything is done.

Refuses nobody who was let in by the same credential lately: of many behind one address only strangers wait.
"""

from logging import WARNING
from typing import Any

from litestar import Request, Response

from service.auth.credentials import NEEDED, Credentials
from service.auth.guessing import WINDOW, Guesses
from service.errors import RateLimited, Unauthenticated
from service.web.acquaintances import Identify
from service.web.address import Origin
from telemetry import log, names
from telemetry.record import Caller, Decision, RateLimit

POLICY = "credentials"
SIGNING = ("/console/sign-in", "/console/oidc/")
"""Pages that take a credential in their address."""
LATER = "Too many credentials from this address were wrong. Please wait a moment and try again."


class Porter:
    """Knows who guessed lately, in this process. `origin` says where requests come from."""

    def __init__(self, guesses: Guesses, origin: Origin) -> None:
        self.guesses, self.origin = guesses, origin

    def refused(self, error: Exception, address: str) -> None:
        """A request of an address ended with this error; counts where a credential was wrong."""
        if not isinstance(error, Unauthenticated) or error.detail == NEEDED:
            return
        if self.guesses.missed(address):
            log.say(names.ADDRESS_HELD_OFF, WARNING, retryAfter=round(self.guesses.wait(address) * 1_000))

    def guarding(self, identify: Identify, address: str) -> Identify:
        """The same question for a request of this address, which counts what is refused."""

        async def guarded(credentials: Credentials) -> Caller:
            try:
                return await identify(credentials)
            except Unauthenticated as error:
                self.refused(error, address)
                raise

        return guarded

    def watching(self, answer: Any) -> Any:
        """The same handler of errors, which counts before it answers."""

        def watched(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
            self.refused(error, self.origin.of(request.scope))
            return answer(request, error)

        return watched


def held_off(wait: float, most: int) -> RateLimited:
    """Why somebody is turned away for so many seconds, of whom so many may be wrong in a minute."""
    milliseconds = max(1, round(wait * 1_000))
    limit = RateLimit(
        decision=Decision.DENIED,
        policy=POLICY,
        limit=most,
        window_ms=round(WINDOW * 1_000),
        remaining=0,
        reset_ms=milliseconds,
        retry_after_ms=milliseconds,
    )
    return RateLimited(limit, LATER)
