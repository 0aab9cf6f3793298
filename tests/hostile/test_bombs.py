"""What is far too long, too deep or too much, in each body, form, parameter and head: refused, forgotten."""

import json
import socket
from pathlib import Path

import httpx
import pytest

from service.web.schema.operations import OPERATIONS
from tests.harness.service import Service
from tests.hostile.fuzzing import broken, head_of
from tests.hostile.routes import PARAMETER
from tests.hostile.table import PEOPLE

LONG = 10_000_000
DEEP = 200_000
ROOM = 150_000
"""KiB by which the process may have grown in the end."""

BODIES = [each for each in OPERATIONS if each.body]
FORMS = [each.partition(" ")[2] for each in PEOPLE if each.startswith("POST")]
FIELD = {each.id: each.body.__struct_encode_fields__[0] for each in BODIES if each.body}
BOMBS = {
    "a string of 10 MB": lambda field: b'{"%s": "%s"}' % (field, b"a" * LONG),
    "a string just below the bound": lambda field: b'{"%s": "%s"}' % (field, b"a" * 900_000),
    "lists in lists": lambda field: b'{"%s": %s%s}' % (field, b"[" * DEEP, b"]" * DEEP),
    "objects in objects": lambda field: b'{"%s": ' % field * (DEEP // 4) + b"1" + b"}" * (DEEP // 4),
    "lists without an end": lambda field: b"[" * (DEEP + len(field)),
    "a field very often": lambda field: b"{" + b'"%s": 1,' % field * 50_000 + b'"x": 1}',
    "very many fields": lambda field: json.dumps({f"{field.decode()}{n}": 1 for n in range(40_000)}).encode(),
    "a number of 900,000 digits": lambda field: b'{"%s": %s}' % (field, b"9" * 900_000),
    "a number without bounds": lambda field: b'{"%s": 1e999999999}' % field,
    "a name of 900 kB": lambda field: b'{"%s": 1}' % (field * 100_000)[:900_000],
    "escapes alone": lambda field: b'{"%s": "%s"}' % (field, b"\\u0000" * 150_000),
    "halves of pairs": lambda field: b'{"%s": "%s"}' % (field, b"\\ud800" * 150_000),
    "no text": lambda field: b'{"%s": "\xff\xfe\xed\xa0\x80"}' % field,
}
SENT_AS_FORMS = {
    "a field of 10 MB": b"user=" + b"a" * LONG,
    "a field just below the bound": b"user=" + b"a" * 60_000,
    "very many fields": b"&".join(b"f%d=1" % n for n in range(10_000)),
    "percent signs": b"user=" + b"%" * 20_000,
    "NUL and halves of pairs": b"user=%00%ED%A0%80&role=%FF",
}
QUERIES = {
    "a parameter of 60 kB": "cursor=" + "a" * 60_000,
    "very many parameters": "&".join(f"p{n}=1" for n in range(5_000)),
    "percent signs": "from=" + "%" * 5_000,
    "NUL": "actor=%00&tool=%ED%A0%80",
}
GET = b"GET /api/v1/limits HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /api/v1/agent/chat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
HEADS = {
    "a header of 10 MB": GET + b"x-long: " + b"a" * LONG + b"\r\n\r\n",
    "very many headers": GET + b"".join(b"x-%d: 1\r\n" % n for n in range(20_000)) + b"\r\n",
    "a folded header": GET + b"x-one: 1\r\n two\r\n\r\n",
    "NUL in a header": GET + b"x-one: a\0b\r\n\r\n",
    "a bare CR": GET + b"x-one: a\rx-two: b\r\n\r\n",
    "a blank before the colon": POST + b"content-length : 5\r\n\r\nhello",
    "two lengths": POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "a length with a sign": POST + b"content-length: +5\r\n\r\nhello",
    "a length of many digits": POST + b"content-length: " + b"9" * 5_000 + b"\r\n\r\n",
    "a length and chunks": POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in another way": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a chunk of a size without an end": POST + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 100_000,
    "a chunk's size with a sign": POST + b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    "two hosts": b"GET /api/v1/limits HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    "no host": b"GET /api/v1/limits HTTP/1.1\r\n\r\n",
    "a whole address": b"GET http://elsewhere.example/api/v1/limits HTTP/1.1\r\nhost: x\r\n\r\n",
    "an address of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "TRACE": b"TRACE /api/v1/limits HTTP/1.1\r\nhost: x\r\nauthorization: Bearer canary\r\n\r\n",
    "CONNECT": b"CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "another version": b"GET /api/v1/limits HTTP/2.0\r\nhost: x\r\n\r\n",
    "an upgrade": GET + b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n\r\n",
}

UNKEYED = {"TRACE", "a whole address", "an upgrade"}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("bombs"), {"AGENT_RATE_LIMIT_MODE": "off"}) as service:
        headers = {"authorization": f"Bearer {head_of(service)}"}
        with httpx.Client(base_url=service.url, trust_env=False, timeout=120, headers=headers) as client:
            assert client.post("/api/v1/agent/chat", json={"message": "hello"}).status_code == 200
            before = resident(service)
            yield service, client
            assert client.get("/health/live").status_code == 200
        assert broken(service) == ()
        assert resident(service) - before < ROOM


def resident(service):
    """KiB that the process has in memory."""
    told = Path(f"/proc/{service.pid}/status").read_text()
    return int(told.partition("VmRSS:")[2].split()[0])


def refused(answer):
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:200])
    assert len(answer.content) < 100_000


def path_of(path):
    return PARAMETER.sub("x", path)


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("operation", BODIES, ids=lambda each: each.id)
def test_no_body_breaks_a_route(target, operation, bomb):
    _, client = target
    content = BOMBS[bomb](FIELD[operation.id].encode())
    kind = {"content-type": "application/json"}
    refused(client.request(operation.method, path_of(operation.path), content=content, headers=kind))


@pytest.mark.parametrize("bomb", SENT_AS_FORMS)
@pytest.mark.parametrize("path", FORMS)
def test_no_form_breaks_a_page(target, path, bomb):
    _, client = target
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html"}
    answer = client.post(path_of(path), content=SENT_AS_FORMS[bomb], headers=headers)
    if not path.endswith(("/verify", "/logout")):  # they read no form
        refused(answer)
    assert answer.status_code < 500


@pytest.mark.parametrize("bomb", QUERIES)
@pytest.mark.parametrize("path", [each.path for each in OPERATIONS if each.method == "get" and not each.open])
def test_no_parameter_breaks_a_route(target, path, bomb):
    _, client = target
    refused(client.get(f"{path_of(path)}?{QUERIES[bomb]}"))


@pytest.mark.parametrize("bomb", HEADS)
def test_no_head_breaks_the_server(target, bomb):
    service, client = target
    port = int(service.url.rpartition(":")[2])
    first, line, rest = HEADS[bomb].partition(b"\r\n")
    # by somebody who would be served, so that a refusal is of the head; but where it may be served
    key = b"" if bomb in UNKEYED else b"authorization: %s\r\n" % client.headers["authorization"].encode()
    told = spoken(port, first + line + key + rest)
    status = told.split(b" ", 2)[1] if told else b"400"
    assert status.startswith(b"4"), told[:300]
    assert b"canary" not in told
    assert told.count(b"HTTP/1.1 ") <= 1, "one request was taken for two"
    assert client.get("/health/live").status_code == 200


def spoken(port, said):
    """All that is answered to these bytes; nothing where the connection was cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        try:
            wire.sendall(said)
            wire.shutdown(socket.SHUT_WR)
        except OSError:  # it did not listen to the end
            pass
        told = b""
        try:
            while more := wire.recv(65_536):
                told += more
        except OSError:
            pass
        return told
