"""Refusals as pages, for browsers that asked for one: the same status and words as the problem's body.

Refuses to decide what went wrong, and to show a page to a program: who did not ask for HTML gets JSON.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Response

from service.web.console.advice import advice
from service.web.console.headers import ours
from service.web.console.pages import Pages
from service.web.desk import Asking
from service.web.problems import caller_of

Answer = Callable[[Asking, Exception], Response[Any]]
"""What Litestar asks for the answer to an error."""

HTML = "text/html"
NOT_KEPT = frozenset({"content-type", "content-length"})
UNAUTHENTICATED = 401


def refusing(pages: Pages, answer: Answer) -> Answer:
    """Answer as `answer` does; where a page of the console was asked for, as a page."""

    def refuse(request: Asking, error: Exception) -> Response[Any]:
        told = answer(request, error)
        return _page(pages, request, told) if _wanted(request) else told

    return refuse


def _wanted(request: Asking) -> bool:
    return ours(request.scope["path"]) and HTML in request.headers.get("accept", "")


def _page(pages: Pages, request: Asking, told: Response[Any]) -> Response[str]:
    problem: Mapping[str, Any] = msgspec.json.decode(told.content)
    status = problem["status"]
    name = "arriving" if status == UNAUTHENTICATED and _arrives(request) else "refused"
    told_to_do = advice(problem, request.scope["path"], provider=pages.installation.provider)
    page = pages.show(name, caller_of(request.scope), status=status, problem=problem, advice=told_to_do)
    page.headers.update({name: value for name, value in told.headers.items() if name not in NOT_KEPT})
    return page


def _arrives(request: Asking) -> bool:
    """Whether a link of another site led here: the cookie then stays behind, and comes with the next request.

    The page that is shown asks for itself once more, by itself; then it is this site that asks.
    """
    said = request.headers
    return said.get("sec-fetch-site") == "cross-site" and said.get("sec-fetch-mode") == "navigate"
