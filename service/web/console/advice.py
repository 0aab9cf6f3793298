"""What a person can do about a refusal: what its page is called, what is said besides, and where it leads.

Refuses to decide what went wrong, and words of its own for it: those are the contract's.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from service.web.console.navigation import PAGES

HOME = "/console/"
SIGN_IN = "/console/sign-in"
PROVIDER = "/console/oidc/"
START = "/console/oidc/start"
UNAUTHENTICATED, FORBIDDEN, UNREACHED = 401, 403, 503


class Advice(Struct, frozen=True, kw_only=True):
    """A page's title, what is said besides the problem, and links: address and words, the likeliest first.

    `printed` where only a link helps that the service prints.
    """

    title: str
    text: str = ""
    links: tuple[tuple[str, str], ...] = ((HOME, "To the console"),)
    printed: bool = False


def advice(problem: Mapping[str, Any], path: str, *, provider: bool) -> Advice:
    """What to do about a problem at a path; `provider` where people sign in at one of OpenID Connect."""
    if path.startswith(PROVIDER):
        return _signing_in(problem)
    if problem["status"] == UNAUTHENTICATED:
        return _nobody(path, provider=provider)
    # who may not go there is not led to what lies around it either: it is mostly for the same roles
    around = PAGES if problem["status"] != FORBIDDEN else ()
    nearest = next(((way.path, f"To {way.name}") for way in around if path.startswith(f"{way.path}/")), None)
    return Advice(title=problem["title"], links=(*((nearest,) if nearest else ()), (HOME, "To the console")))


def _nobody(path: str, *, provider: bool) -> Advice:
    """Nobody is signed in, or the link signs in nobody."""
    used = path == SIGN_IN
    links = ((START, "Sign in"),) if provider else ()
    if used:
        # who opens it a second time may well be signed in by the first
        links = (*links, (HOME, "To the console"))
    title = "This link signs in nobody" if used else "Sign in"
    return Advice(title=title, links=links, printed=not provider)


def _signing_in(problem: Mapping[str, Any]) -> Advice:
    """A sign-in at the provider did not come to its end."""
    if problem["status"] == UNREACHED:
        text = "Nothing is wrong with your account here. Try again in a moment."
        return Advice(
            title="The sign-in provider cannot be reached", text=text, links=((START, "Try again"),)
        )
    if problem["status"] == FORBIDDEN:
        text = "To sign in as somebody else, sign out at the provider first: it may remember you."
        return Advice(title="You are not let in", text=text, links=((START, "Sign in again"),))
    return Advice(title="The sign-in did not finish", links=((START, "Sign in again"),))
