"""What may be set, read once from the environment and checked as a whole.

Refuses to import anything of ours: every other floor stands on this one.
"""

from config.env import Loaded, SettingsError, load
from config.secret import Secret
from config.settings import Settings

__all__ = ["Loaded", "Secret", "Settings", "SettingsError", "load"]
