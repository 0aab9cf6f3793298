"""The alarm with durations of seconds, installed beside a service as anybody's sink would be.

Refuses to change the service: what is shipped is what runs, under another name and other durations.
"""

from pathlib import Path

SINKS = "audit,logs,metrics,quick_alerts"
MODULE = """
from telemetry.alarms.durations import Durations
from telemetry.alarms.sink import AlarmSink

SECONDS = Durations(window=8, before=60, lag=30, wait=0.5, keep=1, repeat=600, slice=0.2, tick=0.1)


class QuickAlarm(AlarmSink):
    def __init__(self, settings):
        super().__init__(settings, SECONDS, pauses=(0.1, 0.2, 0.5))
"""


def install(folder: Path) -> dict[str, str]:
    """Put it into a folder, as far as an interpreter looks; the settings of a service that finds it."""
    info = folder / "quick_alarm-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quick-alarm\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[parley.sinks]\nquick_alerts = quick_alarm:QuickAlarm\n")
    (folder / "quick_alarm.py").write_text(MODULE)
    return {"PYTHONPATH": str(folder), "AGENT_SINKS": SINKS}
