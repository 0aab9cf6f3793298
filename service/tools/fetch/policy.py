"""What may be fetched: which ports, of which hosts, at which addresses.

Refuses a host as a whole where one of its addresses is not public: which of them is connected to is chance.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from service.errors import ToolFailed
from service.tools.fetch.addresses import Address, is_public
from service.tools.fetch.target import Target

WEB = frozenset({80, 443})
WILDCARD = "*."


class Policy(Struct, frozen=True, kw_only=True):
    """The bounds. `hosts` are names, or `*.` and a name for all below it; none means any public host."""

    ports: frozenset[int] = WEB
    hosts: tuple[str, ...] = ()
    public: Callable[[Address], bool] = is_public

    def check(self, target: Target) -> None:
        """Let a target pass before anybody is asked for its address; raises ToolFailed."""
        if target.port not in self.ports:
            allowed = ", ".join(map(str, sorted(self.ports)))
            raise ToolFailed(f"Port {target.port} is not fetched from; allowed are {allowed}.")
        if self.hosts and not any(_covers(each, target.host) for each in self.hosts):
            raise ToolFailed(f"{target.host} is not among the hosts that may be fetched from.")

    def check_addresses(self, host: str, addresses: Sequence[Address]) -> None:
        """Let a host's addresses pass, all of them or none; raises ToolFailed."""
        if not addresses:
            raise ToolFailed(f"There is no host named {host}.")
        if not all(map(self.public, addresses)):
            raise ToolFailed(f"{host} is not on the public internet, and nothing else is fetched from.")


def _covers(allowed: str, host: str) -> bool:
    if allowed.startswith(WILDCARD):
        return host.endswith(allowed.removeprefix("*"))
    return host == allowed
