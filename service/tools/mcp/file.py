"""The file of MCP servers, in the shape that other hosts use: `{"mcpServers": {"files": {"command": ...}}}`.

Refuses whatever is not exactly of the shape, all of it at once and each by its place; shows no value of it.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from config import Secret, SettingsError
from service.tools.mcp.variables import Filled

VARIABLE = "AGENT_MCP_SERVERS"
BYTES = 1_048_576
NAME = re.compile(r"[A-Za-z0-9-]{1,32}(?:_[A-Za-z0-9-]{1,32})*")
"""A server's name; no `__`, which stands between it and its tools' names."""

LONGEST_NAME = 32
Role = Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")]
Milliseconds = Annotated[int, Meta(ge=100, le=600_000)]
Word = Annotated[str, Meta(min_length=1, max_length=4096)]


class Override(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator says of one tool, whatever its server says; None: nothing."""

    roles: frozenset[Role] | None = None
    approval: bool | None = None
    effects: bool | None = None
    seconds: Annotated[float, Meta(gt=0, le=600)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] | None = None


class Server(Struct, frozen=True, kw_only=True):
    """One server, with what of it may be used, by whom.

    It is a program that is started (`command`) or an address that is asked (`url`), never both.

    Args:
        name: The first part of its tools' names.
        command: The program; `args`, `env` (added to PATH and the like) and `cwd` are for it.
        url: Where it answers streamable HTTP; `headers` are sent with every request.
        tools: The names, as the server has them, that are taken; None: all.
        roles: Whose model may use them; None: everybody's.
        approval: Whether somebody has to agree to each call; None: where a tool does not say that it reads.
        overrides: What holds for one tool by its name.
        seconds: How long a call may take, and a connection until it stands.
    """

    name: str
    command: str | None = None
    args: tuple[Secret, ...] = ()
    env: Mapping[str, Secret] = {}
    cwd: str | None = None
    url: Secret | None = None
    headers: Mapping[str, Secret] = {}
    tools: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    approval: bool | None = None
    overrides: Mapping[str, Override] = {}
    seconds: float = 30.0


class _Given(Struct, frozen=True, kw_only=True):
    """What is written about one server; each field is read by itself, so that all errors are found."""

    kind: Literal["stdio", "http", "streamable-http", "streamableHttp"] | None = msgspec.field(
        name="type", default=None
    )
    command: Word | None = None
    args: list[str] = []
    env: dict[Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = {}
    cwd: Word | None = None
    url: Word | None = None
    headers: dict[Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")], str] = {}
    tools: frozenset[Word] | None = None
    roles: frozenset[Role] | None = None
    approval: bool | None = None
    overrides: dict[str, Override] = {}
    timeout_ms: Milliseconds = msgspec.field(name="timeoutMs", default=30_000)
    disabled: bool = False


FIELDS = {field.encode_name: field for field in msgspec.structs.fields(_Given)}


def read_servers(path: str | None, environ: Mapping[str, str]) -> tuple[Server, ...]:
    """The servers that a file names, in its order; none where there is no file to read.

    Args:
        path: Of the file; None: there is none.
        environ: Where `${NAME}` is looked up, or in the file that `NAME_FILE` names.

    Raises:
        SettingsError: the file is not of the shape; every problem with its place, no value.
    """
    if path is None:
        return ()
    problems: list[str] = []

    def complain(place: str, why: str) -> None:
        problems.append(f"{VARIABLE}: {path}: {place}{': ' if place else ''}{why}")

    found = [
        _server(name, said, lambda place, why, name=name: complain(f"mcpServers.{name}{place}", why), environ)
        for name, said in _said(path, complain).items()
    ]
    if problems:
        raise SettingsError(tuple(problems))
    return tuple(server for server in found if server is not None)


Complain = Callable[[str, str], None]


def _said(path: str, complain: Complain) -> Mapping[str, Any]:
    """What stands in the file, by server."""
    try:
        text = Path(path).read_bytes()
        if len(text) > BYTES:
            complain("", f"is larger than {BYTES} bytes")
            return {}
        whole: Any = msgspec.json.decode(text)
    except (OSError, ValueError) as error:
        complain("", f"cannot be read: {_why(error)}")
        return {}
    servers: Any = cast("Mapping[str, Any]", whole).get("mcpServers") if isinstance(whole, dict) else None
    if not isinstance(servers, dict):
        complain("", 'expected {"mcpServers": {NAME: {...}}}')
        return {}
    return cast("Mapping[str, Any]", servers)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "no such file"
    place = re.search(r"\(byte \d+\)$", str(error))
    return f"it is not JSON {place[0]}" if place else "it is not JSON"


def _server(name: str, said: Any, complain: Complain, environ: Mapping[str, str]) -> Server | None:
    """One server; None where it is off, or something is wrong with it, which was told."""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        complain("", "expected a name of 1 to 32 letters, digits, - and single _")
    given, whole = _given(said, complain)
    if given.disabled:
        return None
    filled = Filled(environ, complain)
    server = Server(
        name=name,
        command=given.command and filled.one(".command", given.command),
        args=tuple(Secret(filled.one(f".args[{at}]", text)) for at, text in enumerate(given.args)),
        env=filled.secrets(".env", given.env),
        cwd=given.cwd and filled.one(".cwd", given.cwd),
        url=Secret(filled.one(".url", given.url)) if given.url else None,
        headers=filled.secrets(".headers", given.headers),
        tools=given.tools,
        roles=given.roles,
        approval=given.approval,
        overrides=given.overrides,
        seconds=given.timeout_ms / 1000,
    )
    if whole and (why := _mixed(server, given)):
        complain("", why)
    _check(server, complain)
    return server


def _given(said: Any, complain: Complain) -> tuple[_Given, bool]:
    """What is written as far as it is of the shape, and whether all of it is."""
    if not isinstance(said, dict):
        complain("", "expected an object")
        return _Given(), False
    values: dict[str, Any] = {}
    whole = True
    for key, value in cast("Mapping[str, Any]", said).items():
        try:
            values[FIELDS[key].name] = msgspec.convert(value, FIELDS[key].type)
        except KeyError:
            whole = False
            complain(f".{key}", f"is not known; known are {', '.join(FIELDS)}")
        except msgspec.ValidationError as error:
            whole = False
            complain(f".{key}", _shape(str(error)))
    return _Given(**values), whole


def _shape(said: str) -> str:
    """What msgspec says is wrong, which names types and places and never a value."""
    return said[:1].lower() + said[1:].replace("`$", "`")


def _check(server: Server, complain: Complain) -> None:
    if server.url and not _is_address(server.url.reveal()):
        complain(".url", "expected an http:// or https:// URL without credentials or fragment")
    if any(set("\r\n\0") & set(each.reveal()) for each in server.headers.values()):
        complain(".headers", "a value has more than one line")
    if any("\0" in each.reveal() for each in (*server.args, *server.env.values())):
        complain("", "a value has a NUL in it")


def _mixed(server: Server, given: _Given) -> str | None:
    """What of a program stands beside an address, or the other way round."""
    if (server.command is None) == (server.url is None):
        return "expected either command or url"
    if server.url is None:
        wrong = given.headers or given.kind not in {None, "stdio"}
        return "headers and http belong to a url" if wrong else None
    wrong = given.args or given.env or given.cwd or given.kind == "stdio"
    return "args, env, cwd and stdio belong to a command" if wrong else None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(
            parts.scheme in {"http", "https"}
            and parts.hostname
            and parts.port != 0
            and "@" not in parts.netloc
            and re.fullmatch(r"[!-~]+", url)
            and "#" not in url
        )
    except ValueError:
        return False
