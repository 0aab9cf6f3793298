"""Every place of the console, and of the routes it stands on, that takes a word.

Refuses to look at pages: what they show to whom is the canaries' own search.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tests.hostile.place import Asked, Place, get, place

PAGE = {"accept": "text/html"}
KEYS, SESSIONS = "/api/v1/keys", "/api/v1/sessions"
LOOKED_FOR = ("actor", "tool", "model", "role", "entityType")
"""What an auditor looked for by these is in the record of the look."""
SHOWN_AGAIN = ("traceId", "outcome", "category", "code", "from", "to", "cursor", "limit", "q", "id")
"""In the form, or where it leads."""


def _page(url: str, may: str = "", name: str = "") -> Place:
    """A word in a page's address, or in a parameter of it."""
    if not name:
        return place(may, lambda word: get(f"{url}/{quote(word)}", headers=PAGE))
    return place(may, lambda word: get(url, params={name: word}, headers=PAGE))


def _form(url: str, name: str, may: str = "", **others: str) -> Place:
    """A word in a field of a form."""
    return place(may, lambda word: _sent(url, {**others, name: word}))


def _sent(url: str, fields: Mapping[str, str], **headers: str) -> Asked:
    return {"method": "POST", "url": url, "data": dict(fields), "headers": PAGE | headers}


def _key(field: str, may: str = "") -> Place:
    """A word in the form of a new key, which is another one each time."""

    def make(word: str) -> Asked:
        good = {"user": "new", "role": "intern", "expires": "1d", "wish": secrets.token_hex(16)}
        return _sent("/console/keys", good | {field: word} | ({"role": "INTERN"} if field == "user" else {}))

    return place(may, make)


def _json(url: str, may: str = "", method: str = "POST", **body: Any) -> Place:
    """A word in place of `WORD` in a body."""

    def make(word: str) -> Asked:
        return {"method": method, "url": url, "json": json.loads(json.dumps(body).replace("WORD", word))}

    return place(may, make)


AUDIT = {
    **{
        f"looked for on a page: {name}": _page("/console/audit", "answers rows files others", name)
        for name in LOOKED_FOR
    },
    **{f"shown again on a page: {name}": _page("/console/audit", "answers", name) for name in SHOWN_AGAIN},
    "a page's unknown parameter": place(
        "answers", lambda word: get("/console/audit", params={word: "1"}, headers=PAGE)
    ),
    "a page's event": _page("/console/audit"),
    "whom a page would erase": _page("/console/audit/erase", "answers", "subject"),
    "whom a form erases": _form("/console/audit/erase", "subject", "answers", confirm="other"),
    "what a form confirms": _form("/console/audit/erase", "confirm", subject="other"),
    "a form's field": place("answers", lambda word: _sent("/console/audit/erase", {word: "1"})),
}
QUERIES = {
    "a query's page": _page("/console/queries"),
    "a query that is found": _page("/console/queries", "answers", "find"),
    "a query's trace": _page("/console/queries", "", "traceId"),
    "a query's cursor": _page("/console/queries", "", "cursor"),
}
ADMINISTRATION = {
    "words among keys": _page("/console/keys", "answers", "q"),
    "a key's status": _page("/console/keys", "", "status"),
    "a key that was revoked": _page("/console/keys", "", "revoked"),
    "a new key's user": _key("user", "answers rows files html"),
    "a new key's role": _key("role", "answers"),
    "a new key's span": _key("expires"),
    "a new key's scope": _key("scope"),
    "a new key's wish": _key("wish"),
    "a form of another type": place(
        "", lambda word: _sent("/console/keys", {"user": "x"}, **{"content-type": f"text/{word}"})
    ),
    "a key to be revoked": place("", lambda word: get(f"/console/keys/{word}/revoke", headers=PAGE)),
    "a key that is revoked": place("", lambda word: _sent(f"/console/keys/{word}/revoke", {})),
    "whose sessions": _page("/console/sessions", "answers", "user"),
    "what was ended": _page("/console/sessions", "", "ended"),
    "whose sessions would end": _page("/console/sessions/end-all", "answers", "user"),
    "whose sessions end": _form("/console/sessions/end-all", "user", "answers"),
    "a session that ends": _form("/console/sessions/end", "id"),
    "a board's period": _page("/console/operations", "", "period"),
}
ENTRANCE = {
    "a page that is none": _page("/console"),
    "a file of the console": _page("/console/static/0"),
    "a digest of the console": place("", lambda word: get(f"/console/static/{word}/console.css")),
    "where a sign-in leads": _page("/console/oidc/start", "", "to"),
    **{
        f"a provider's {name}": _page("/console/oidc/callback", "", name)
        for name in ("state", "code", "iss", "error", "error_description")
    },
    "a sign-in under way": place(
        "",
        lambda word: get("/console/oidc/callback?state=x", headers={**PAGE, "cookie": f"sign_in={word}"}),
    ),
}
ROUTES = {
    "an API key's user": _json(KEYS, "answers rows files html", user="WORD", role="INTERN"),
    "an API key's role": _json(KEYS, user="new", role="WORD"),
    "an API key's scope": _json(KEYS, user="new", role="INTERN", scopes=["WORD"]),
    "an API key's id": place("", lambda word: {"method": "DELETE", "url": f"{KEYS}/{word}"}),
    "a session's id": place("", lambda word: {"method": "DELETE", "url": f"{SESSIONS}/{word}"}),
    "a session's user": place("", lambda word: get(SESSIONS, params={"user": word})),
    "whose sessions all end": place(
        "", lambda word: {"method": "DELETE", "url": SESSIONS, "params": {"user": word}}
    ),
    "the board's period": place("", lambda word: get("/api/v1/operations", params={"period": word})),
    "the board's tag": place("", lambda word: get("/api/v1/operations", headers={"if-none-match": word})),
}

CONSOLE: Mapping[str, Place] = AUDIT | QUERIES | ADMINISTRATION | ENTRANCE | ROUTES
