"""The model's provider, found by its name among the entry points of `parley.models`.

Refuses a name that nobody installed, and to know which there are: ours comes by the same door.
"""

from collections.abc import Callable
from importlib.metadata import entry_points

from config import SettingsError
from config.settings import Settings
from service.agent.model import Model

GROUP = "parley.models"

Provider = Callable[[Settings, str | None], Model]
"""The settings, and where the API is if not at its vendor -> the model. Called once, before the first turn.

What a Model further has is used where it is there: `warm()` is called in a thread while the service opens,
`aclose()` is awaited when no turn runs any more.
"""


def provider(name: str) -> Provider:
    """Find a provider.

    Raises:
        SettingsError: naming what is missing and what is installed.
    """
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name not in installed:
        there = ", ".join(sorted(installed)) or "none"
        raise SettingsError((f"AGENT_MODEL_PROVIDER: no such provider: {name}; installed: {there}",))
    return installed[name].load()
