"""A day in seconds: an alarm whose clock a test moves, and what it tells."""

from config.settings import Alerts, Audit, Settings
from telemetry import log
from telemetry.alarms.durations import Durations
from telemetry.alarms.sink import AlarmSink
from telemetry.failure import Code
from tests.harness.records import answered, failed, refused

START = 1_764_000_000.0
REFUSALS = {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.INVALID_REQUEST, Code.RATE_LIMITED}
CODES = {
    "CredentialGuessing": Code.UNAUTHENTICATED,
    "AuthorizationSpike": Code.FORBIDDEN,
    "ValidationSpike": Code.INVALID_REQUEST,
    "RateLimitSpike": Code.RATE_LIMITED,
    "UpstreamRateLimitSpike": Code.UPSTREAM_RATE_LIMITED,
    "DatabaseSpike": Code.DATABASE_ERROR,
    "AgentServiceSpike": Code.UPSTREAM_ERROR,
    "NetworkSpike": Code.UPSTREAM_UNREACHABLE,
    "UnknownSpike": Code.INTERNAL,
}
"""A code for each spike."""


class Clock:
    """Seconds since 1970, as the test says."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now


class Day:
    """One process."""

    def __init__(self, folder, clock=None, webhook=None, secret=None, pauses=(0.001,)):
        self.clock = clock or Clock()
        audit = Audit(journal_dir=str(folder))
        settings = Settings(audit=audit, alerts=Alerts(webhook=webhook, secret=secret))
        self.sink = AlarmSink(settings, Durations(), self.clock, pauses)

    def errors(self, code, number=1):
        for _ in range(number):
            self.sink.closed(refused(code) if code in REFUSALS else failed(code))

    def answers(self, number=1):
        for _ in range(number):
            self.sink.closed(answered())

    async def pass_by(self, minutes, each=None):
        """Let minutes go by, a look each 30 s; `each` is called every minute with the day."""
        for half in range(int(minutes * 2)):
            if each and half % 2 == 0:
                each(self)
            self.clock.now += 30
            await self.sink.look()

    def minute(self):
        return (self.clock.now - START) / 60


def alarms(caplog):
    """The lines of alarms, as type, name and number of errors."""
    lines = (record.line for record in caplog.records if record.name == "parley")
    return [
        (each.type.removeprefix("alert_"), each.fields["name"], each.fields["count"])
        for each in lines
        if isinstance(each, log.Line) and each.type.startswith("alert_")
    ]
