"""Templates -> pages, each in the one layout: who is signed in, where to go, and what is on the page.

Refuses to print anything unescaped, and a template that asks for what it was not given.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response

from service.web.console.figures import count, dollars, span
from service.web.console.headers import headers
from service.web.console.installation import Installation
from service.web.console.navigation import PAGES, open_to
from service.web.console.shelf import Shelf
from telemetry.record import Caller

TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """All pages of one installation."""

    def __init__(self, installation: Installation, shelf: Shelf) -> None:
        self.installation, self.shelf = installation, shelf
        self._headers = headers(secure=installation.secure)
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {"json": _json, "span": span, "dollars": dollars, "count": count}
        self._shared: Mapping[str, Any] = {
            "installation": installation,
            "static": shelf.address,
            "modules": shelf.imported,
        }

    def show(
        self, name: str, caller: Caller | None = None, here: str = "", *, status: int = 200, **facts: Any
    ) -> Response[str]:
        """A page: `name` without its ending, for whom, and which entry of the navigation it is."""
        ways = tuple(open_to(caller, PAGES)) if caller else ()
        text = self._templates.get_template(f"{name}.html").render(
            caller=caller, ways=ways, here=here, **self._shared, **facts
        )
        return Response(text, status_code=status, media_type=MediaType.HTML, headers=dict(self._headers))

    def lead(self, path: str) -> Response[str]:
        """No page, but where it is."""
        sent: Mapping[str, str] = {**self._headers, "location": path}
        return Response("", status_code=303, media_type=MediaType.TEXT, headers=dict(sent))


def _json(value: Any) -> str:
    """For an attribute, which is escaped as any text is."""
    return msgspec.json.encode(value).decode()
