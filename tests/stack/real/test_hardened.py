"""The collector with hardened.yaml over it, run: who has no TLS or no token is not heard.

Refuses to leave the sampling untried: it keeps nothing here but what its policies name.
"""

import ssl
from collections.abc import Mapping

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.conftest import SOON
from tests.harness.chat import ask
from tests.harness.service import Service
from tests.stack.real import asking
from tests.stack.real.papers import papers
from tests.stack.real.patience import until
from tests.stack.real.stack import Stack

TOKEN = "only-for-friends-of-the-collector"
REQUEST = ExportTraceServiceRequest().SerializeToString()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return papers(tmp_path_factory.mktemp("papers"), TOKEN)


@pytest.fixture(scope="module")
def stack(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hardened")
    environ = {
        "COLLECTOR_CERT_FILE": str(files.certificate),
        "COLLECTOR_KEY_FILE": str(files.key),
        "COLLECTOR_TOKEN_FILE": str(files.token),
        "JAEGER_INSECURE": "true",
        "SAMPLING_SHARE": "0",
    }
    with Stack(folder, ("jaeger", "collector"), ("hardened.yaml",), **environ) as running:
        yield running


def post(stack: Stack, files, token: str | None = TOKEN, scheme: str = "https", **tls: int) -> int:
    """The status that an export over HTTP gets."""
    context = ssl.create_default_context(cafile=str(files.authority))
    for key, value in tls.items():
        setattr(context, key, value)
    headers = {"Content-Type": "application/x-protobuf"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{scheme}://{stack.address(4318)}/v1/traces"
    with httpx.Client(verify=context, trust_env=False) as client:
        return client.post(url, content=REQUEST, headers=headers).status_code


def call(stack: Stack, files, metadata: Mapping[str, str], *, secure: bool = True) -> grpc.StatusCode:
    """The status that an export over gRPC gets."""
    trust = grpc.ssl_channel_credentials(files.authority.read_bytes())
    address = stack.address(4317)
    opened = grpc.secure_channel(address, trust) if secure else grpc.insecure_channel(address)
    with opened as channel:
        try:
            TraceServiceStub(channel).Export(
                ExportTraceServiceRequest(), metadata=tuple(metadata.items()), timeout=10
            )
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def test_with_tls_and_the_token_both_doors_are_open(stack, files):
    assert post(stack, files) == 200
    assert call(stack, files, {"authorization": f"Bearer {TOKEN}"}) is grpc.StatusCode.OK


@pytest.mark.parametrize("token", [None, "", "only-for-friends", TOKEN + "x", TOKEN.upper()])
def test_without_the_token_nobody_is_heard(stack, files, token):
    assert post(stack, files, token) == 401
    metadata = {} if token is None else {"authorization": f"Bearer {token}"}
    assert call(stack, files, metadata) is grpc.StatusCode.UNAUTHENTICATED


def test_without_tls_nobody_is_heard(stack, files):
    assert post(stack, files, scheme="http") == 400
    metadata = {"authorization": f"Bearer {TOKEN}"}
    assert call(stack, files, metadata, secure=False) is grpc.StatusCode.UNAVAILABLE


def test_an_older_tls_is_refused(stack, files):
    with pytest.raises(httpx.ConnectError):
        post(stack, files, maximum_version=ssl.TLSVersion.TLSv1_2)


def test_a_stranger_s_certificate_is_not_the_collector_s(stack, tmp_path):
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        post(stack, papers(tmp_path, TOKEN))


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_service_with_certificate_and_token_is_heard_and_what_matters_is_kept(
    stack, files, tmp_path, protocol
):
    port = {"grpc": 4317, "http/protobuf": 4318}[protocol]
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://{stack.address(port)}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(files.authority),
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TOKEN}",
        "AGENT_RATE_LIMIT_ROLES": "AUDITEE=3",
    }
    with Service(tmp_path, SOON | settings) as service:
        good = [ask(service, "Hello") for _ in range(2)]
        matter = [
            ask(service, "[sim:400]"),
            ask(service, ""),
            ask(service, "Hello"),
            ask(service, "Hi", key=""),
        ]
        assert [each.status_code for each in (*good, *matter)] == [200, 200, 500, 400, 429, 401]
        kept = {each.headers["x-trace-id"] for each in matter}

        def arrived() -> set[str]:
            return set(asking.traces(stack.address(16686)))

        until(lambda: kept <= arrived(), seen=lambda: f"{arrived()}\n{stack.said()}")
        assert arrived() & {each.headers["x-trace-id"] for each in good} == set()


def test_another_token_is_taken_over_without_a_restart(stack, files):
    files.token.write_text("the-next-token")
    until(lambda: post(stack, files, "the-next-token") == 200, seen=stack.said)
    assert post(stack, files, TOKEN) == 401
