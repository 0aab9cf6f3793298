"""Settings read again while the service runs: what of them is taken over, and who hears of it.

Refuses them whole where anything is wrong: the old ones hold on.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from logging import WARNING

from msgspec import Struct
from msgspec.structs import fields, replace

from config import Loaded, SettingsError
from config.secret import Secret
from config.settings import Limits, Settings
from config.source import Origin
from config.table import Row, rows
from config.variable import variable_of, walk
from service.audit import changes
from service.audit.deed import Doer
from service.audit.row import AuditRow
from service.limits import Rules
from telemetry import ids, log, names
from telemetry.recorder import microseconds

Read = Callable[[], Loaded]
"""Reads the settings as at a start; raises SettingsError."""
TakeKey = Callable[[Secret], None]
TakeRoot = Callable[[Secret, Secret | None], None]

KEPT = ("store", "on_loss", "replicas")
"""Of limits and budgets: the store, which is open, and what is done without it."""
LIVE = frozenset(place.variable.name for place in walk(Limits())) - {
    variable_of(field.type).name for field in fields(Limits) if field.name in KEPT
}
"""Limits and budgets that may change while the service runs, by name."""
SECRETS = frozenset({"ANTHROPIC_API_KEY", "AGENT_SECRET_KEY", "AGENT_SECRET_KEY_PREVIOUS"})
"""The secrets that may."""
CHANGING = LIVE | SECRETS


class Change(Struct, frozen=True, kw_only=True):
    """What new settings come to: what holds from now on, the new values, the names that need a restart."""

    settings: Settings
    values: Mapping[str, str | None]
    restart: tuple[str, ...]


def change(now: Settings, read: Settings) -> Change:
    """Take over limits and budgets, but not what is kept of them.

    And the key of the model's API, where there was one and is one: without, another is asked. And the root
    secret, where the one that holds now goes on holding beside it.
    """
    limits = replace(read.limits, **{name: getattr(now.limits, name) for name in KEPT})
    key = read.model.api_key
    model = replace(now.model, api_key=key) if key and now.model.api_key else now.model
    settings = replace(now, limits=limits, model=model)
    if _goes_on(now, read):
        roots = {"secret_key": read.secret_key, "secret_key_previous": read.secret_key_previous}
        settings = replace(settings, **roots)
    return Change(settings=settings, values=_news(now, settings), restart=tuple(_news(settings, read)))


def _goes_on(now: Settings, read: Settings) -> bool:
    """Whether what was made under the root of now is taken under those that were read."""
    return now.secret_key is not None and now.secret_key in {read.secret_key, read.secret_key_previous}


def _news(old: Settings, new: Settings) -> Mapping[str, str | None]:
    """The values that differ, as they are shown, by name; None for one that is unset."""
    pairs = zip(walk(old), walk(new), strict=True)
    return {
        place.variable.name: None if place.value is None else place.variable.form.show(place.value)
        for before, place in pairs
        if before.value != place.value
    }


class Takers(Struct, frozen=True, kw_only=True):
    """Who takes secrets over: the model another key of its API, the house another root and one beside it."""

    key: TakeKey = lambda _: None
    root: TakeRoot = lambda _, __: None


class Reload:
    """Takes over what may change, in one assignment: turns under way keep what they were granted.

    Args:
        loaded: What holds now.
        rules: Where limits and budgets are looked up, each time.
        note: Owes the audit a row.
        takers: Who takes secrets over.
    """

    def __init__(
        self,
        loaded: Loaded,
        rules: Rules,
        note: Callable[[AuditRow], None],
        takers: Takers = Takers(),  # noqa: B008 - it is frozen
    ) -> None:
        self._settings = loaded.settings
        self._origins: Mapping[str, Origin] = loaded.origins
        self._rules, self._note, self._takers = rules, note, takers

    def table(self) -> Sequence[Row]:
        """Every setting as it holds now, with where it came from; a secret is its mask."""
        return rows(self._settings, self._origins)

    def __call__(self, read: Read) -> None:
        """Read, and take over or refuse; never raises SettingsError."""
        try:
            loaded = read()
            new = change(self._settings, loaded.settings)
        except SettingsError as error:
            log.say(names.SETTINGS_REFUSED, WARNING, problems=list(error.problems), pid=os.getpid())
            return
        before = self._settings
        self._rules.limits, self._settings = new.settings.limits, new.settings
        self._origins = {**self._origins, **{name: loaded.origins[name] for name in new.values}}
        self._rotate(before, new.settings)
        log.say(
            names.SETTINGS_CHANGED, changed=list(new.values), needRestart=list(new.restart), pid=os.getpid()
        )
        if new.values:
            self._note(changes.changed(_service(), new.values, new.restart))

    def _rotate(self, before: Settings, now: Settings) -> None:
        """Hand secrets on that are others now."""
        if now.model.api_key and now.model.api_key != before.model.api_key:
            self._takers.key(now.model.api_key)
        if now.secret_key and _roots(now) != _roots(before):
            self._takers.root(now.secret_key, now.secret_key_previous)


def _roots(settings: Settings) -> tuple[Secret | None, Secret | None]:
    return settings.secret_key, settings.secret_key_previous


def _service() -> Doer:
    """The service itself, now: whoever sent the signal is not known."""
    return Doer(caller=None, request_id=ids.uuid7(), trace_id=None, at=microseconds())
