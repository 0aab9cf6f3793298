"""The headers of every page and file of the console: what a browser may do with it.

Refuses whatever is not named: scripts, styles and calls of this origin alone, no markup made by a script.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No policy of trusted types may be made either: our scripts make elements and text, never markup."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        # not `no-referrer`: by it a browser calls the origin of our own forms null, and they would be refused
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
)

HSTS = "strict-transport-security"
ALWAYS_TLS = "max-age=31536000"
"""For a year, this host alone: what else is below its name is not ours to decide."""


OURS = "/console"


def ours(path: str) -> bool:
    """Whether a path is one of the console."""
    return path in {"/", OURS} or path.startswith(f"{OURS}/")


def for_paths(*, secure: bool) -> Callable[[str], Sequence[tuple[bytes, bytes]]]:
    """Path -> the headers of whatever answers there, refusals of any kind included.

    Where people come by TLS, every answer says that they are to come by nothing else.
    """
    raw = tuple((name.encode(), value.encode()) for name, value in headers(secure=secure).items())
    others = tuple(pair for pair in raw if pair[0] == HSTS.encode())
    return lambda path: raw if ours(path) else others


def headers(*, secure: bool) -> dict[str, str]:
    """The headers; `secure` where people come by TLS."""
    return {**HEADERS, **({HSTS: ALWAYS_TLS} if secure else {})}
