"""Puts signing in at a provider together, where one is set.

Refuses to load what speaks OpenID Connect where none is: it costs a start a tenth of a second.
"""

from litestar.handlers import HTTPRouteHandler

from config.settings import Settings
from service.auth.derive import Derived
from service.auth.pending import Drawer
from service.auth.provider import Discovery
from service.auth.roles import Roles
from service.auth.sessions import Sessions
from service.store.database import Database
from service.web import oidc
from telemetry.recorder import microseconds


def sign_in_routes(
    settings: Settings, database: Database, derived: Derived, sessions: Sessions, *, secure: bool
) -> list[HTTPRouteHandler]:
    """The routes to a provider and back; none without one."""
    given = settings.oidc
    if given.issuer is None or given.client_id is None or settings.public_url is None:
        return []
    from service.auth.oidc import Client  # noqa: PLC0415 - the tenth of a second
    from service.auth.sign_in import SignIn  # noqa: PLC0415 - as above

    back = settings.public_url.rstrip("/") + oidc.CALLBACK
    client = Client(given.client_id, given.client_secret, back, given.scopes)
    roles = Roles(given.user_claim, given.role_claim, given.roles)
    drawer, store = Drawer(derived.sign_in, microseconds), database.sessions
    sign_in = SignIn(Discovery(given.issuer), client, drawer, roles, store.revoke, sessions.begin)
    return oidc.routes(sign_in, secure=secure)
