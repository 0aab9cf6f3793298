"""Pages of text and links for people who are not signed in yet, and what went wrong as one of them.

Refuses scripts, frames, forms and anything from elsewhere, and to a program: that is told as a problem.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any

import msgspec
from litestar import MediaType, Request, Response

from service.web import problems

PAGES = Path(__file__).parent / "pages"
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": (
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
    }
)


def page(name: str, status: int = 200, **words: str) -> Response[str]:
    """A page of ours; the words are text, whatever they look like."""
    template = Template((PAGES / name).read_text(encoding="utf-8"))
    text = template.substitute({each: escape(word) for each, word in words.items()})
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=dict(HEADERS))


def refused(request: Request[Any, Any, Any], error: Exception, again: str) -> Response[Any]:
    """What went wrong: to a browser a page that leads to `again`, to a program as ever; recorded the same."""
    answer = problems.answer(request, error)
    if "text/html" not in request.headers.get("accept", ""):
        return answer
    told = msgspec.json.decode(answer.content)
    words = {"title": told["title"], "error": told["error"], "request": told["requestId"], "again": again}
    detail = "" if told["detail"] == told["error"] else told["detail"]
    shown = page("refused.html", told["status"], detail=detail, **words)
    shown.headers.update({name: value for name, value in answer.headers.items() if name == "retry-after"})
    return shown
