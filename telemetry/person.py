"""A user within a tenant as one name, by which all of theirs is kept: one name in two tenants is two persons.

Refuses a separator within a user's name: whoever writes one there is nobody, not somebody of another tenant.
"""

SEPARATOR = "\x1f"
"""In no name that a credential may bear."""
NOBODYS = "\ufffd"


def person_of(user_id: str, tenant: str | None) -> str:
    """The name; without a tenant, as in an installation that has none, the user's own."""
    name = user_id.replace(SEPARATOR, NOBODYS) if SEPARATOR in user_id else user_id
    return f"{tenant}{SEPARATOR}{name}" if tenant else name


def parted(person: str) -> tuple[str | None, str]:
    """The tenant, None for the one without a name, and the user."""
    tenant, separator, user_id = person.partition(SEPARATOR)
    return (tenant, user_id) if separator else (None, person)


def user_of(person: str) -> str:
    """The user, as it is told within the tenant."""
    return parted(person)[1]


def told_of(person: str) -> str:
    """The person as it is told to whoever sees all tenants."""
    tenant, user_id = parted(person)
    return f"{tenant}/{user_id}" if tenant else user_id
