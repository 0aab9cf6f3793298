"""Which models a role may ask: all there are, unless the settings name some for it.

Refuses to keep what the settings said: they may be read again while the service runs.
"""

from collections.abc import Callable, Mapping, Sequence

from service.errors import Forbidden
from telemetry.failure import FieldError

RoleModels = Mapping[str, Sequence[str]]
"""The models of each role that has some of its own; never none."""


class Choice:
    """The models of all roles; `usual` is the one that is asked where a request names none."""

    def __init__(self, usual: str = "", now: Callable[[], RoleModels] = dict) -> None:
        self._usual, self._now = usual, now

    def preferred(self, role: str, wanted: str) -> str:
        """The model that was wanted; where none was, the usual one, or the role's first if it may not."""
        mine = self._now().get(role, ())
        usual = self._usual if not mine or self._usual in mine else mine[0]
        return wanted or usual

    def allows(self, role: str, model: str) -> bool:
        """Whether this role may ask this model."""
        return model in self._now().get(role, (model,))

    def require(self, role: str, model: str) -> None:
        """See to it that this role may ask this model.

        Raises:
            Forbidden: it may not; names the field, and the models that it may.
        """
        if not self.allows(role, model):
            may = FieldError("model", f"Expected one of {', '.join(self._now()[role])} for the role {role}")
            raise Forbidden("The model is not for the caller's role.", fields=(may,))
