"""Options made of a route's parameters, and what an argument may be.

Refuses what neither a database nor a terminal takes.
"""

import argparse
import re

from service.auth.credentials import USER_NAME

HELP = {
    "from": "a date or a time of ISO 8601; belongs to the span",
    "to": "the same; does not belong to it",
    "q": "words of the query",
    "entityType": "AGENT_QUERY, AUDIT_ACCESS and so on, or all",
    "limit": "at most so many (1 to 200)",
    "cursor": "go on after a page: its nextCursor",
    "groupBy": "user, role, model, tool or day",
    "format": "jsonl or csv",
}


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let it print JSON, for programs."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_parameter(parser: argparse.ArgumentParser, name: str) -> None:
    """Let a parameter of a route be given."""
    parser.add_argument(option(name), dest=name, type=text, help=HELP.get(name))


def add_tenant(parser: argparse.ArgumentParser, said: str = "of one tenant alone") -> None:
    """Let a tenant be given."""
    parser.add_argument("--tenant", type=name, help=said)


def name(given: str) -> str:
    """A user's or a tenant's."""
    if not re.fullmatch(USER_NAME, given):
        raise argparse.ArgumentTypeError("1 to 128 characters without blanks")
    return given


def option(name: str) -> str:
    """The option of a parameter: `traceId` is `--trace-id`."""
    return "--" + re.sub("[A-Z]", lambda found: f"-{found[0].lower()}", name)


def text(given: str) -> str:
    """An argument in UTF-8; any other comes as surrogates, which neither a database nor a terminal takes."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError("not UTF-8") from error
    return given
