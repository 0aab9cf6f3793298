"""Trials of the way telemetry takes."""

from tests.telemetry.alerts.spikes import turns
from tests.telemetry.alerts.trial import Case, page, ticket

GROUPS = ("parley-collector",)


def of(metric: str, labels: str = 'exporter="otlp_grpc/jaeger"') -> str:
    return f'otelcol_{metric}{{job="otel-collector", {labels}}}'


JAEGER = {"job": "otel-collector", "exporter": "otlp_grpc/jaeger"}

CASES = [
    Case(
        name="the service is heard of no more, then again",
        groups=GROUPS,
        series={turns("answered"): "0+1x20 _x40 0+1x20"},
        expected={
            ("10m", "TelemetryAbsent"): (),
            ("25m", "TelemetryAbsent"): (page("No metric of the service has arrived for 5m."),),
            ("38m", "TelemetryAbsent"): (),
        },
    ),
    *(
        Case(
            name=f"a collector that refuses and loses, its counters ending in {ending or 'nothing'}",
            groups=GROUPS,
            series={
                of(f"receiver_refused_spans{ending}", 'receiver="otlp"'): "0x10 0+60x40",
                of(f"receiver_refused_log_records{ending}", 'receiver="otlp"'): "0x10 0+60x40",
                of(f"exporter_send_failed_spans{ending}"): "0x10 0+60x40",
            },
            expected={
                ("4m", "CollectorRefusing"): (),
                ("4m", "CollectorLosing"): (),
                ("15m", "CollectorRefusing"): (
                    ticket(
                        "The collector's otlp refuses 2.0 items a second.",
                        job="otel-collector",
                        receiver="otlp",
                    ),
                ),
                ("15m", "CollectorLosing"): (
                    ticket(
                        "The collector loses 2.0 items a second on the way to otlp_grpc/jaeger.", **JAEGER
                    ),
                ),
            },
        )
        for ending in ("", "_total")
    ),
    Case(
        name="a queue that fills",
        groups=GROUPS,
        series={of("exporter_queue_size"): "0x10 30000x30", of("exporter_queue_capacity"): "50000x40"},
        expected={
            ("4m", "CollectorQueueing"): (),
            ("10m", "CollectorQueueing"): (
                ticket("The collector's queue to otlp_grpc/jaeger is 60% full.", **JAEGER),
            ),
        },
    ),
]
