"""Puts the house together: the only room that knows every other, and it decides nothing else.

Refuses to be known below: rooms get what they need handed in.
"""

from service.app.checks import build_checks, model_watch
from service.app.face import Doors, build_app
from service.app.house import House, build_door, build_turns, open_house
from service.app.records import Records, build_sealing

__all__ = [
    "Doors",
    "House",
    "Records",
    "build_app",
    "build_checks",
    "build_door",
    "build_sealing",
    "build_turns",
    "model_watch",
    "open_house",
]
