"""The Messages API on the loopback, for a service without a key and for tests.

Refuses to be clever: what it says follows from the message, and markers choose how it fails.
"""

from service.simulator.app import Simulator, build
from service.simulator.exchange import Served
from service.simulator.markers import COMBINING, MARKERS

__all__ = ["COMBINING", "MARKERS", "Served", "Simulator", "build"]
