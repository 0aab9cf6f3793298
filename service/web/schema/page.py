"""GET /schema and /schema/openapi.json: the contract, for people and for programs, whoever reads it.

Refuses scripts and anything from elsewhere: the page is text, and its one style is allowed by its hash.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from string import Template
from typing import Any

import msgspec
from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from service.web.schema.components import Json
from service.web.schema.document import document

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; }
section { border-top: 1px solid #8886; padding: .5rem 0 1rem; }
h2 { font-size: 1.1rem; }
table { border-collapse: collapse; }
td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
"""
PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$title</h1>
<p>$description</p>
<p>For programs: <a href="/schema/openapi.json">/schema/openapi.json</a></p>
$operations
</body>
</html>
""")
HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{HASH}'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def routes() -> list[HTTPRouteHandler]:
    """Both routes; the document is made once."""
    told = document()
    encoded, shown = msgspec.json.encode(told), page(told)

    @get("/schema/openapi.json")
    async def openapi() -> Response[bytes]:
        return Response(encoded, media_type=MediaType.JSON)

    @get("/schema")
    async def schema() -> Response[str]:
        return Response(shown, media_type=MediaType.HTML, headers=HEADERS)

    return [openapi, schema]


def page(told: Json) -> str:
    """The document as a page."""
    info = told["info"]
    operations = "\n".join(
        _operation(method, path, operation)
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    )
    return PAGE.substitute(
        title=escape(f"{info['title']} {info['version']}"),
        style=STYLE,
        description=_words(info["description"]),
        operations=operations,
    )


def _operation(method: str, path: str, operation: Json) -> str:
    rows = "\n".join(f"<tr><td>{name}</td><td>{words}</td></tr>" for name, words in _rows(operation))
    return (
        f'<section id="{escape(operation["operationId"])}">\n'
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>\n"
        f"<p>{_words(operation['summary'])}. {_words(operation.get('description', ''))}</p>\n"
        f"<table>\n{rows}\n</table>\n</section>"
    )


def _rows(operation: Json) -> Iterator[tuple[str, str]]:
    for each in operation["parameters"]:
        yield f"<code>{escape(each['name'])}</code> ({each['in']})", _words(each["description"])
    if "requestBody" in operation:
        yield "body", f"<code>{escape(_body(operation['requestBody']))}</code>"
    for status, response in operation["responses"].items():
        yield status, _words(response["description"])


def _body(body: Json) -> str:
    content: Any = next(iter(body["content"].values()))
    return msgspec.json.encode(content["example"]).decode()


def _words(text: str) -> str:
    """Text in which what stands between backticks is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
