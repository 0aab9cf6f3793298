"""Puts the console together: its pages, and signing in at a provider, where one is set.

Refuses to load what speaks OpenID Connect where no provider is set: it costs a start a tenth of a second.
"""

from collections.abc import Sequence

from litestar.handlers import HTTPRouteHandler

from config.settings import Settings
from service.agent.choice import Choice, RoleModels
from service.auth.authenticator import Authenticator
from service.auth.derive import Derived
from service.auth.pending import Drawer
from service.auth.provider import Discovery
from service.auth.roles import Roles
from service.auth.sessions import Sessions
from service.limits import Gate
from service.store.database import Database
from service.web import console
from service.web.console import oidc
from service.web.console.installation import installation_of
from service.web.console.offices import Offices
from service.web.console.pages import Pages
from service.web.console.shelf import Shelf
from service.web.desk import Desk
from telemetry.recorder import microseconds


def console_pages(settings: Settings, gate: Gate) -> Pages:
    """The pages; which models a role may ask is looked up each time: it may change."""

    def offered(role: str) -> Sequence[str]:
        mine: RoleModels = gate.rules.limits.role_models or {}
        usual = Choice(settings.model.name, lambda: mine).preferred(role, "")
        return (usual, *(name for name in mine.get(role, settings.model.names) if name != usual))

    return Pages(installation_of(settings, offered), Shelf())


def console_routes(
    pages: Pages,
    settings: Settings,
    database: Database,
    derived: Derived,
    door: Authenticator,
    desk: Desk,
    offices: Offices,
) -> list[HTTPRouteHandler]:
    """The routes of pages for people."""
    return [
        *console.routes(pages, door, desk, offices),
        *_sign_in_routes(pages, settings, database, derived, door.sessions),
    ]


def _sign_in_routes(
    pages: Pages, settings: Settings, database: Database, derived: Derived, sessions: Sessions
) -> list[HTTPRouteHandler]:
    """The routes to a provider and back; none without one."""
    given = settings.oidc
    if given.issuer is None or given.client_id is None or settings.public_url is None:
        return []
    from service.auth.oidc import Client  # noqa: PLC0415 - the tenth of a second
    from service.auth.sign_in import SignIn  # noqa: PLC0415 - as above

    back = settings.public_url.rstrip("/") + oidc.CALLBACK
    client = Client(given.client_id, given.client_secret, back, given.scopes)
    roles = Roles(given.user_claim, given.role_claim, given.roles, given.tenant_claim)
    drawer, store = Drawer(derived.sign_ins, microseconds), database.sessions
    sign_in = SignIn(Discovery(given.issuer), client, drawer, roles, store.revoke, sessions.begin)
    return oidc.routes(pages, sign_in)
