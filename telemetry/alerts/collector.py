"""The way to here: telemetry that does not arrive, a collector that refuses, queues or loses it.

Refuses to trust silence: where nothing is heard, that is the alert. The collector's counters end in `_total`
or not, as its own telemetry is set up; both are read.
"""

from telemetry.alerts.rule import Advice, Alert, Group, Severity

SIGNALS = ("spans", "metric_points", "log_records")
HEALTH = "curl -s localhost:13133; curl -s localhost:8888/metrics | grep otelcol_"


def rates(by: str, *counters: str) -> str:
    """What any of them counts; one rate over several names would be an error."""
    return "\nor ".join(
        f'sum by (job, {by}) (rate({{__name__=~"otelcol_{counter}(_total)?"}}[5m])) > 0'
        for counter in counters
    )


REFUSED = rates("receiver", *(f"receiver_refused_{signal}" for signal in SIGNALS))
LOST = rates(
    "exporter",
    *(f"exporter_{how}_failed_{signal}" for how in ("send", "enqueue") for signal in SIGNALS),
)

GROUP = Group(
    "parley-collector",
    (
        Alert(
            name="TelemetryAbsent",
            severity=Severity.PAGE,
            expr="absent(parley_turns_total)",
            wait="5m",
            summary="No metric of the service has arrived for 5m.",
            advice=Advice(
                means="The service, the collector or the scrape is down. Every other alert is blind"
                " meanwhile.",
                look='up == 0 or absent(up{job="parley"})',
                run="curl -s localhost:3005/health/live\n" + HEALTH,
                do="Service gone: start it. Service there: is OTEL_EXPORTER_OTLP_ENDPOINT set, does the"
                " collector listen, is Prometheus's target up? Audit and answers do not depend on any of"
                " them.",
            ),
        ),
        Alert(
            name="CollectorRefusing",
            severity=Severity.TICKET,
            expr=REFUSED,
            wait="1m",
            summary='The collector\'s {{ $labels.receiver }} refuses {{ $value | printf "%.1f" }} items a'
            " second.",
            advice=Advice(
                means="Its memory limiter is at work; senders try again and then drop.",
                look='sum by (receiver) (rate({__name__=~"otelcol_receiver_refused_.+"}[5m]))',
                run=HEALTH,
                do="Give it memory, or sample more (otel-collector.yaml); see whether Jaeger is slow.",
            ),
        ),
        Alert(
            name="CollectorLosing",
            severity=Severity.TICKET,
            expr=LOST,
            wait="1m",
            summary='The collector loses {{ $value | printf "%.1f" }} items a second on the way to'
            " {{ $labels.exporter }}.",
            advice=Advice(
                means="What stands behind it refused data for good, or its queue is full.",
                look='sum by (exporter) (rate({__name__=~"otelcol_exporter_(send|enqueue)_failed_.+"}[5m]))',
                run=HEALTH,
                do="Its log names the exporter's error. Traces that are lost here are still in the audit:"
                " `parley trace ID` tells them from the record.",
            ),
        ),
        Alert(
            name="CollectorQueueing",
            severity=Severity.TICKET,
            expr="max by (job, exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity) >"
            " 0.5",
            wait="1m",
            summary="The collector's queue to {{ $labels.exporter }} is {{ $value | humanizePercentage }}"
            " full.",
            advice=Advice(
                means="Jaeger (or whatever is behind) is away or slow. The queue is on disk and drains by"
                " itself.",
                look="max by (exporter) (otelcol_exporter_queue_size)",
                run=HEALTH,
                do="Bring it back before the queue is full; then CollectorLosing begins.",
            ),
        ),
    ),
)
