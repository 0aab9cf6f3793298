"""Every route and every page as one kind of thing, and the request by which it is asked for somebody's.

Refuses to know who may: see `table`.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from msgspec import Struct

from service.web.schema.operations import OPERATIONS
from tests.hostile.table import PEOPLE

NOBODY = "00000000-0000-7000-8000-000000000000"
NO_NAME = "no-such-person"
CALL = "toolu_1"
PARAMETER = re.compile(r"\{(\w+?)(?::\w+)?\}")
QUERIES: Mapping[str, Mapping[str, str]] = {
    "listAuditEvents": {"limit": "200", "entityType": "all"},
    "exportAuditEvents": {"format": "csv"},
    "getUsage": {"groupBy": "user"},
    "GET /console/audit": {"limit": "200", "entityType": "all"},
    "GET /console/queries": {"limit": "200"},
}
BY_USER = {
    *("listSessions", "endSessions"),
    *("GET /console/sessions", "GET /console/sessions/end-all"),
}
"""Those that are asked by `user`."""


class Route(Struct, frozen=True):
    """An operation of the API, or what a person does at the console: `page`."""

    id: str
    method: str
    path: str
    page: bool


ROUTES = (
    *(Route(each.id, each.method.upper(), each.path, page=False) for each in OPERATIONS),
    *(Route(each, *each.split(" ", 1), page=True) for each in PEOPLE),
)


class Theirs(Struct, frozen=True):
    """What is somebody's, by which a route is asked; who is `erased` is nobody any more."""

    name: str = NO_NAME
    turn: str = NOBODY
    conversation: str = NOBODY
    session: str = NOBODY
    key: str = "0" * 12
    waiting: str = NOBODY
    call: str = CALL
    erased: str = NO_NAME

    def request(self, route: Route, word: str) -> dict[str, Any]:
        """What httpx is given; `word` is the asker's, in all that they say."""
        asked: dict[str, Any] = {"method": route.method, "url": self._path(route)}
        query = {"user": self.name} if route.id in BY_USER else QUERIES.get(route.id)
        said = self._form(route.id) if route.page else self._body(route.id, word)
        return asked | {"params": query, "data" if route.page else "json": said}

    def _path(self, route: Route) -> str:
        values = {
            "turnid": self.waiting if route.id == "decideApproval" else self.turn,
            "eventid": self.turn,
            "conversationid": self.conversation,
            "sessionid": self.session,
            "keyid": self.key,
            "subject": self.name,
            "callid": self.call,
            "digest": "0",
            "name": "console.css",
        }
        return PARAMETER.sub(lambda found: values[found[1].replace("_", "").lower()], route.path)

    def _body(self, route: str, word: str) -> dict[str, Any] | None:
        bodies: dict[str, dict[str, Any]] = {
            "chat": {"message": f"Again {word}.", "conversationId": self._talk(), "stream": False},
            "decideApproval": {"decision": "approve"},
            "giveFeedback": {"rating": "up", "comment": word},
            "renameConversation": {"title": word},
            "eraseSubject": {"subject": self.erased, "confirm": self.erased},
            "makeKey": {"user": self._user(), "role": "INTERN", "expires": "1d"},
            "rotateKey": {"overlap": "1d"},
            "revokeTokens": {"token": self.session},
        }
        return bodies.get(route)

    def _user(self) -> str:
        """Whom a key is made for; who has one is not nobody any more."""
        return f"new-{secrets.token_hex(6)}" if self.name == NO_NAME else self.name

    def _talk(self) -> str:
        """A conversation that is not there is begun."""
        return str(uuid4()) if self.conversation == NOBODY else self.conversation

    def _form(self, page: str) -> dict[str, str] | None:
        wish = secrets.token_hex(16)
        forms: dict[str, dict[str, str]] = {
            "POST /console/audit/erase": {"subject": self.erased, "confirm": self.erased},
            "POST /console/keys": {"user": self._user(), "role": "INTERN", "expires": "1d", "wish": wish},
            "POST /console/keys/{key_id:str}/revoke": {"x": ""},
            "POST /console/sessions/end": {"id": self.session},
            "POST /console/sessions/end-all": {"user": self.name},
        }
        return forms.get(page)
