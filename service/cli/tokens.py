"""parley tokens: make sessions, tokens and keys hold no longer, one by its name or all of a user's.

Refuses to list them: a token of another issuer is known to nobody here until it is used.
"""

import argparse
from collections.abc import Mapping

import msgspec

from service.audit.row import AuditRow
from service.auth.sessions import Sessions
from service.cli import asking, state
from service.cli.asking import Desk
from service.cli.key_rotation import cabinet
from service.cli.options import add_tenant, text
from service.cli.parser import Filled, Parser
from service.cli.terminal import plain
from service.errors import InvalidRequest
from service.web import fields, tokens
from service.web.bodies import WRONG
from service.web.parameters import Nothing
from service.web.tokens import RevocationBody, Revoked, Revoking
from telemetry.recorder import microseconds

VERBS: Mapping[str, Filled] = {
    "revoke": (
        "one by its name, or all of a user's; from the next request on",
        "service.cli.tokens:add_revoke",
    )
}


def add(parser: Parser) -> None:
    """Add the verbs."""
    parser.branch("VERB", VERBS)


def add_revoke(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _revoke, Nothing)
    add_tenant(parser, "the tenant that it, or the user, belongs to")
    parser.add_argument("token", nargs="?", type=text, help="a jti, or a credentialId as the audit shows it")
    parser.add_argument("--user", type=text, help="all sessions and tokens that this user was issued")
    parser.add_argument("--before", type=text, help="issued before this time of ISO 8601 (now)")
    parser.add_argument("--keys", action="store_true", help="the user's API keys too")


async def _revoke(desk: Desk) -> int:
    noted: list[AuditRow] = []
    told = await tokens.revoke(_revoking(desk), noted.append, asking.doer(desk.given.tenant), _body(desk))
    if desk.settings.audit.enabled:
        await desk.database.audit.append(noted)
    asking.show(desk, msgspec.to_builtins(told), lambda: _words(told))
    return 0


def _body(desk: Desk) -> RevocationBody:
    """What is meant, by the rules of the route."""
    names = ("token", "user", "before", "keys")
    given = {name: getattr(desk.given, name) for name in names}
    values, wrong = fields.decode(RevocationBody, msgspec.json.encode(given))
    if wrong:
        raise InvalidRequest(WRONG, fields=wrong)
    return RevocationBody(**values)


def _revoking(desk: Desk) -> Revoking:
    derived = state.derived(desk.settings)
    door = Sessions(derived.sessions, desk.database.sessions, microseconds, subjects=derived.subjects)
    return Revoking(door, cabinet(desk), door.forget)


def _words(told: Revoked) -> str:
    if told.token is not None:
        return f"{plain(told.token)}: revoked" + (", an API key" if told.keys else "")
    keys = f", {len(told.keys)} keys" if told.keys else ""
    return (
        f"{plain(told.user)}: whatever was issued before {told.before} is revoked "
        f"({told.sessions} known sessions{keys})"
    )
