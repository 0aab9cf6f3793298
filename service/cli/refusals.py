"""What keeps a command from running, in words.

Refuses to speak of what nobody foresaw: that is a fault of ours, and stays a traceback.
"""

from collections.abc import Sequence

from config import SettingsError
from service.cli.options import option
from service.errors import InvalidRequest, ServiceError
from service.tools.installed import UnusableTool
from telemetry.providers import TelemetryError
from telemetry.sink import UnknownSink


def problems_of(error: Exception) -> Sequence[str] | None:
    """The problems, each a line; None of an error that is no refusal."""
    match error:
        case SettingsError():
            return error.problems
        case TelemetryError() | UnknownSink() | UnusableTool() | OSError():
            return (str(error),)
        case InvalidRequest():
            return [f"{option(each.field)}: {each.message}" for each in error.fields]
        case ServiceError():
            return (error.detail,)
        case _:
            return None
