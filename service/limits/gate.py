"""Where the settings meet the limiter: which limit a role has, and whether a denial is carried out.

Refuses to raise; the turn decides what a denial means.
"""

from msgspec.structs import replace

from config.settings import Limits
from service.limits.limiter import Limiter
from telemetry.record import Caller, Decision, RateLimit


class Gate:
    """Asks the limiter on behalf of a caller, by the mode that is set.

    off: nothing is decided. observe: a denial becomes `observed` and passes; as a denied request is not
    counted, the decisions are those that enforce would have made. enforce: a denial stands.
    """

    def __init__(self, limiter: Limiter, limits: Limits) -> None:
        self._limiter, self._limits = limiter, limits

    def admit(self, caller: Caller) -> RateLimit | None:
        """Decide one request and count it where it is allowed; None where the mode is off."""
        if self._limits.mode == "off":
            return None
        return self._by_mode(self._limiter.admit(caller.user_id, self._limit_of(caller)))

    def peek(self, caller: Caller) -> RateLimit | None:
        """Say what stands for a caller, counting nothing; None where the mode is off."""
        if self._limits.mode == "off":
            return None
        return self._by_mode(self._limiter.peek(caller.user_id, self._limit_of(caller)))

    def _limit_of(self, caller: Caller) -> int:
        return self._limits.roles.get(caller.role, self._limits.requests)

    def _by_mode(self, limit: RateLimit) -> RateLimit:
        if self._limits.mode == "observe" and limit.decision is Decision.DENIED:
            return replace(limit, decision=Decision.OBSERVED)
        return limit
