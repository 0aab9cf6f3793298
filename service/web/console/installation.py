"""What pages tell of the installation they belong to.

Refuses secrets: whatever is here may be read by everybody who signs in.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from config.settings import Settings

Offered = Callable[[str], Sequence[str]]
"""Role -> the models it may ask, the one that is asked where none is named first."""


class Installation(Struct, frozen=True, kw_only=True):
    """One service as its pages know it; `trace_url` has `{traceId}` where a trace's id belongs.

    With a `provider` of OpenID Connect, it is there that people sign in.
    """

    models: Offered
    simulated: bool = False
    secure: bool = False
    thinking: bool = True
    streaming: bool = True
    trace_url: str | None = None
    provider: bool = False


def installation_of(settings: Settings, models: Offered) -> Installation:
    """As the settings have it."""
    return Installation(
        models=models,
        simulated=settings.model.simulated,
        secure=settings.environment != "development",
        thinking=settings.model.thinking == "allowed",
        streaming=settings.streaming_enabled,
        trace_url=settings.trace_url or _jaegers(settings.jaeger_url),
        provider=settings.oidc.issuer is not None,
    )


def _jaegers(address: str | None) -> str | None:
    return f"{address.rstrip('/')}/trace/{{traceId}}" if address else None
