"""What waits to be exported, as it is kept by OpenTelemetry itself."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from telemetry.queues import SPANS, _queues, waiting


class Never(SpanExporter):
    def export(self, spans):  # noqa: ARG002 - named by OpenTelemetry
        return SpanExportResult.SUCCESS


def test_spans_that_wait_are_counted():
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Never(), schedule_delay_millis=3_600_000))
    for number in range(3):
        provider.get_tracer("test").start_span(str(number)).end()
    assert list(_queues(provider, SPANS)) == [3]
    provider.shutdown()


def test_where_nothing_is_kept_nothing_is_told():
    assert list(_queues(object(), SPANS)) == []
    assert set(waiting()) <= {"spans", "logs"}
