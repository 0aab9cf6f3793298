"""Settings read again while the service runs: what of them is taken over, and who hears of it.

Refuses them whole where anything is wrong: the old ones hold on.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from logging import WARNING

from msgspec import Struct
from msgspec.structs import fields, replace

from config import Loaded, SettingsError
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

KEPT = ("store", "on_loss", "replicas")
"""Of limits and budgets: the store, which is open, and what is done without it."""
LIVE = frozenset(place.variable.name for place in walk(Limits())) - {
    variable_of(field.type).name for field in fields(Limits) if field.name in KEPT
}
"""The settings that may change while the service runs, by name."""


class Change(Struct, frozen=True, kw_only=True):
    """What new settings come to: what holds from now on, the new values, the names that need a restart."""

    settings: Settings
    values: Mapping[str, str | None]
    restart: tuple[str, ...]


def change(now: Settings, read: Settings) -> Change:
    """Take over limits and budgets, but not what is kept of them."""
    limits = replace(read.limits, **{name: getattr(now.limits, name) for name in KEPT})
    settings = replace(now, limits=limits)
    return Change(settings=settings, values=_news(now, settings), restart=tuple(_news(settings, read)))


def _news(old: Settings, new: Settings) -> Mapping[str, str | None]:
    """The values that differ, as they are shown, by name; None for one that is unset."""
    pairs = zip(walk(old), walk(new), strict=True)
    return {
        place.variable.name: None if place.value is None else place.variable.form.show(place.value)
        for before, place in pairs
        if before.value != place.value
    }


class Reload:
    """Takes over what may change, in one assignment: turns under way keep what they were granted.

    Args:
        loaded: What holds now.
        rules: Where limits and budgets are looked up, each time.
        note: Owes the audit a row.
    """

    def __init__(self, loaded: Loaded, rules: Rules, note: Callable[[AuditRow], None]) -> None:
        self._settings = loaded.settings
        self._origins: Mapping[str, Origin] = loaded.origins
        self._rules, self._note = rules, note

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
        self._rules.limits, self._settings = new.settings.limits, new.settings
        self._origins = {**self._origins, **{name: loaded.origins[name] for name in new.values}}
        log.say(
            names.SETTINGS_CHANGED, changed=list(new.values), needRestart=list(new.restart), pid=os.getpid()
        )
        if new.values:
            self._note(changes.changed(_service(), new.values, new.restart))


def _service() -> Doer:
    """The service itself, now: whoever sent the signal is not known."""
    return Doer(caller=None, request_id=ids.uuid7(), trace_id=None, at=microseconds())
