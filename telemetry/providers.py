"""OpenTelemetry's providers: started by its own configurator, so that every OTEL_* keeps its meaning.

Exports nothing and fails at nothing when no OTEL_* is set. Must run before an instrumentation is imported.
"""

import logging
import pkgutil
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.trace import TracerProvider

from telemetry.measuring import NOBODY

SIGNALS = ("TRACES", "METRICS", "LOGS")
HTTP_PORT = 4318

OTLP = {"otlp": None, "otlp_proto_grpc": "grpc", "otlp_proto_http": "http/protobuf"}
"""The exporters that speak it, and which protocol; None is as the environment says."""
ENDPOINTS = {"grpc": "http://localhost:4317", "http/protobuf": "http://localhost:4318"}
"""OpenTelemetry's own defaults."""

DEFAULTS = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    # an export of 512 spans holds the interpreter for 27 ms; of 128, for 7
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "128",
}

SAMPLER, UNTAKEN = "OTEL_TRACES_SAMPLER", "parentbased_always_off"
"""How spans are sampled that nobody takes: each has its ids, and what a caller says of its trace holds."""

UNINSTRUMENTED, ASGI = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "asgi"
"""OpenTelemetry's own list, and what is on it where nobody takes spans or metrics of requests."""

PATIENCE = {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "40", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "40"}
"""Seconds that leave a batch its six tries, the last after about 31, while the collector is away.

OpenTelemetry's 10 leave it four within 7 s: half a minute then loses batch after batch, each of up to 128
spans; so it loses one. Metrics lose nothing: their next export says all that they count.
"""

GRPC = "opentelemetry.exporter.otlp.proto.grpc"
GRPC_EXPORTERS = (
    "trace_exporter:OTLPSpanExporter",
    "metric_exporter:OTLPMetricExporter",
    "_log_exporter:OTLPLogExporter",
)
RECONNECT = (("grpc.max_reconnect_backoff_ms", 5_000),)
"""Channels to one address share a wait before the next try; it would grow to two minutes."""


class TelemetryError(Exception):
    """An OTEL_* variable has a value that OpenTelemetry refuses."""


def start(environ: MutableMapping[str, str]) -> None:
    """Configure all three providers from `environ`, once in a process.

    Raises:
        TelemetryError: in OpenTelemetry's words.
    """
    settle(environ)
    choose_propagators()
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return  # opentelemetry-instrument was here first
    spare(environ)
    if not _taken(environ, "METRICS"):
        NOBODY.set()
    from opentelemetry.distro import OpenTelemetryConfigurator  # noqa: PLC0415 - loads the propagators

    try:
        with _in_words():
            OpenTelemetryConfigurator().configure(  # pyright: ignore[reportUnknownMemberType] - untyped keywords
                exporter_args_map=_exporters(environ), meter_configurator=_meters(environ)
            )
        choose_propagators()  # a configuration file has its own
    except Exception as error:
        said_by = "OTEL_CONFIG_FILE" if environ.get("OTEL_CONFIG_FILE") else "OTEL_*"
        raise TelemetryError(f"{said_by}: {error}") from error


def choose_propagators() -> None:
    """Load those of OTEL_PROPAGATORS, before anybody needs them, and see that they always give a context.

    Raises:
        TelemetryError: one is not installed.
    """
    try:
        from opentelemetry import propagate  # noqa: PLC0415 - it looks for them when it is imported
    except ValueError as error:
        raise TelemetryError(f"OTEL_PROPAGATORS: {error}") from error
    chosen = propagate.get_global_textmap()
    if not isinstance(chosen, Steady):
        propagate.set_global_textmap(Steady(chosen))


class Steady(TextMapPropagator):
    """What another propagator does, but that nothing extracted is an empty context.

    OpenTelemetry's own composite of none gives None, which fails every request that is traced.
    """

    def __init__(self, chosen: TextMapPropagator) -> None:
        self._chosen = chosen

    def extract(
        self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter
    ) -> Context:
        """The context that came with a request; the given one, or an empty one, where none did."""
        found: Any = self._chosen.extract(carrier, context, getter)
        return (context or Context()) if found is None else found

    def inject(
        self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter
    ) -> None:
        """Write the current context, or the given one."""
        self._chosen.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        """The headers that are written."""
        return self._chosen.fields


def _exporters(environ: Mapping[str, str]) -> Mapping[type, Mapping[str, Any]]:
    """What exporters are given beside what the environment says."""
    if not any(each.protocol == "grpc" for each in endpoints(environ)):
        return {}
    exporters: list[type] = [pkgutil.resolve_name(f"{GRPC}.{name}") for name in GRPC_EXPORTERS]
    return {each: {"channel_options": RECONNECT} for each in exporters}


class Meters(Struct, frozen=True):
    """Whether instruments measure; read by OpenTelemetry at each measurement."""

    is_enabled: bool


def _meters(environ: Mapping[str, str]) -> Callable[[object], Meters] | None:
    """Where nobody takes the metrics nothing is measured; None is OpenTelemetry's own way."""
    return None if _taken(environ, "METRICS") else lambda _scope: Meters(is_enabled=False)


def _taken(environ: Mapping[str, str], *signals: str) -> bool:
    """Whether somebody takes one of these signals; a configuration file may name anybody."""
    if _disabled(environ):
        return False
    named = ",".join(environ.get(f"OTEL_{signal}_EXPORTER", "") for signal in signals)
    return bool(environ.get("OTEL_CONFIG_FILE") or _listed(named) - {"", "none"})


def _listed(words: str) -> set[str]:
    """What stands between commas; blanks beside them say nothing."""
    return {each.strip() for each in words.split(",")}


def _disabled(environ: Mapping[str, str]) -> bool:
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


@contextmanager
def _in_words() -> Generator[None]:
    """Whatever OpenTelemetry logs goes to stderr as a line for people: our own log has not begun yet."""
    logger, handler = logging.getLogger("opentelemetry"), logging.StreamHandler()
    handler.setFormatter(Words())
    handler.setLevel(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class Words(logging.Formatter):
    """The message alone, without the stack."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return f"parley: {record.getMessage()}"


def settle(environ: MutableMapping[str, str]) -> None:
    """Write our defaults where the operator said nothing (contract, section 8)."""
    for name, value in DEFAULTS.items():
        _settle(environ, name, value)
    _name_service(environ)
    if not environ.get("OTEL_CONFIG_FILE"):
        for signal in SIGNALS:
            _settle_signal(environ, signal)
        for name, seconds in PATIENCE.items():
            _settle(environ, name, environ.get("OTEL_EXPORTER_OTLP_TIMEOUT") or seconds)


def spare(environ: MutableMapping[str, str]) -> None:
    """Have what nobody takes not made, where the operator said nothing of it; after `settle`."""
    if not _taken(environ, *SIGNALS) and not environ.get(SAMPLER):
        _settle(environ, "OTEL_SDK_DISABLED", "true")
    if not _taken(environ, "TRACES"):
        _settle(environ, SAMPLER, UNTAKEN)
    if not _taken(environ, "TRACES", "METRICS"):
        _settle(environ, UNINSTRUMENTED, ASGI)


def instruments(environ: Mapping[str, str]) -> bool:
    """Whether requests are instrumented."""
    return ASGI not in _listed(environ.get(UNINSTRUMENTED, ""))


def _settle(environ: MutableMapping[str, str], name: str, value: str) -> None:
    """Set what is unset; OpenTelemetry says that empty is unset."""
    environ[name] = environ.get(name) or value


def _settle_signal(environ: MutableMapping[str, str], signal: str) -> None:
    """An endpoint without an exporter means otlp; its port says which protocol, where nothing else does."""
    endpoint = _said(environ, signal, "ENDPOINT")
    if not endpoint:
        return
    _settle(environ, f"OTEL_{signal}_EXPORTER", "otlp")
    if not _said(environ, signal, "PROTOCOL"):
        environ[f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"] = (
            "http/protobuf" if _port(endpoint) == HTTP_PORT else "grpc"
        )


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None


def _name_service(environ: MutableMapping[str, str]) -> None:
    """Name and version, unless the operator named them; in the environment, since code would overrule it."""
    given = [pair for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if pair.strip()]
    named = {pair.partition("=")[0].strip() for pair in given}
    if "service.name" not in named:
        _settle(environ, "OTEL_SERVICE_NAME", "parley")
    if "service.version" not in named:
        ours = f"service.version={version('parley')}"
        environ["OTEL_RESOURCE_ATTRIBUTES"] = ",".join([*given, ours])


class Endpoint(Struct, frozen=True):
    """Where a signal leaves by OTLP; `protocol` is grpc or http/protobuf."""

    signal: str
    url: str
    protocol: str


def endpoints(environ: Mapping[str, str]) -> Sequence[Endpoint]:
    """Say where each signal would leave by OTLP; `OTEL_CONFIG_FILE` is not read."""
    settled = dict(environ)
    settle(settled)
    if settled.get("OTEL_CONFIG_FILE") or _disabled(settled):
        return ()
    return tuple(each for signal in SIGNALS for each in _endpoints(settled, signal))


def _endpoints(environ: Mapping[str, str], signal: str) -> Iterator[Endpoint]:
    for exporter in environ.get(f"OTEL_{signal}_EXPORTER", "").split(","):
        if exporter.strip() in OTLP:
            said = _said(environ, signal, "PROTOCOL") or "grpc"
            protocol = OTLP[exporter.strip()] or said
            url = _said(environ, signal, "ENDPOINT") or ENDPOINTS.get(protocol, "")
            yield Endpoint(signal.lower(), url, protocol)


def _said(environ: Mapping[str, str], signal: str, what: str) -> str | None:
    """What the operator says of a signal, or of all."""
    return environ.get(f"OTEL_EXPORTER_OTLP_{signal}_{what}") or environ.get(f"OTEL_EXPORTER_OTLP_{what}")


def hasten() -> None:
    """Have the metrics of now sent, by a thread: nobody waits for it, nobody hears whether it went well."""
    if callable(flush := getattr(metrics.get_meter_provider(), "force_flush", None)):
        threading.Thread(target=flush, name="telemetry-hasten", daemon=True).start()


def stop(deadline: float = 2.0) -> bool:
    """Send what is left, all three at once, for at most `deadline` seconds; False where that was too short.

    Blocks: call it when no loop runs any more. The threads are daemons, so a silent collector cannot hold
    the process.
    """
    until = time.monotonic() + deadline
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    threads = [
        threading.Thread(target=shutdown, name="telemetry-stop", daemon=True)
        for provider in providers
        if callable(shutdown := getattr(provider, "shutdown", None))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    # the SDK's exit hooks stop once more what is stopped, and would complain of it
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return not any(thread.is_alive() for thread in threads)
