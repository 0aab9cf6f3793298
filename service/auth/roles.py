"""Who somebody is by the claims of a provider: claims -> a user's name and a role.

Refuses whoever has no role that maps, or several where nothing says which counts, and names that are none.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from config.settings import ROLE_NAME
from service.auth.credentials import USER_NAME
from service.errors import Forbidden
from telemetry.person import person_of

EMAIL, VERIFIED = "email", "email_verified"
NAMELESS = "The sign-in provider does not say who you are in a way that counts here."
ROLELESS = "The sign-in provider gives you no role that counts here. Ask your administrator for one."
TENANTLESS = "The sign-in provider does not say which tenant you belong to."


class Person(Struct, frozen=True):
    """Somebody who may be let in."""

    user_id: str
    role: str
    tenant: str | None = None

    @property
    def person(self) -> str:
        """The user within the tenant."""
        return person_of(self.user_id, self.tenant)


class Roles(Struct, frozen=True):
    """How claims are read: the user's, the role's, and which value of that is which role (None: itself).

    Where `tenant_claim` is given, whoever has none such is not let in.
    """

    user_claim: str
    role_claim: str
    table: Mapping[str, str] | None
    tenant_claim: str | None = None

    def person(self, claims: Mapping[str, Any]) -> Person:
        """Who it is.

        Raises:
            Forbidden: nobody who may be let in.
        """
        user = claims.get(self.user_claim)
        verified = self.user_claim != EMAIL or claims.get(VERIFIED) is True
        if not verified or not isinstance(user, str) or not re.fullmatch(USER_NAME, user):
            raise Forbidden(NAMELESS)
        return Person(user, self._role(_words(_within(claims, self.role_claim))), self._tenant(claims))

    def _tenant(self, claims: Mapping[str, Any]) -> str | None:
        if self.tenant_claim is None:
            return None
        tenant = _within(claims, self.tenant_claim)
        if not isinstance(tenant, str) or not re.fullmatch(USER_NAME, tenant):
            raise Forbidden(TENANTLESS)
        return tenant

    def _role(self, words: frozenset[str]) -> str:
        if self.table is None:
            roles = [word for word in words if re.fullmatch(ROLE_NAME, word)] if len(words) == 1 else []
        else:
            roles = [role for value, role in self.table.items() if value in words]
        if not roles:
            raise Forbidden(ROLELESS)
        return roles[0]


def _within(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name; else, by its dots, one that lies within another."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - foreign JSON
    return found  # pyright: ignore[reportUnknownVariableType] - as above


def _words(value: Any) -> frozenset[str]:
    """A claim of one word, or of several."""
    values = value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType] - foreign JSON
    return frozenset(each for each in values if isinstance(each, str))  # pyright: ignore[reportUnknownVariableType] - as above
