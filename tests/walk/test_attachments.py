"""Images and PDFs in a question: the model is shown them, everything else knows their digest."""

import base64
from hashlib import sha256

import httpx
import pytest

from tests.harness.chat import ROUTE, ask
from tests.harness.telling import ending

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 200_000
PICTURE = {"type": "image/png", "data": base64.b64encode(PNG).decode(), "name": "cat.png"}
PAPER = {"type": "application/pdf", "data": base64.b64encode(b"%PDF-1.7 /Type /Page").decode()}
CANARY = PICTURE["data"][:200]


def test_a_turn_with_files_leaves_their_digest_and_nothing_of_them(service, receiver):
    answer = ask(service, "What is on it?", attachments=[PICTURE, PAPER]).json()
    (row,) = service.wait_for_rows(entityId=answer["id"])
    assert row["metadata"]["attachments"] == [
        {"type": "image/png", "bytes": len(PNG), "sha256": sha256(PNG).hexdigest()},
        {"type": "application/pdf", "bytes": 20, "sha256": sha256(b"%PDF-1.7 /Type /Page").hexdigest()},
    ]
    assert row["metadata"]["query"] == "What is on it?"
    assert answer["usage"]["inputTokens"] < 20_000
    ending(service, answer["id"])
    assert CANARY not in str(row)
    assert CANARY not in "\n".join([*service.stdout, *service.stderr])
    assert CANARY not in str(receiver.wait_for_trace(answer["traceId"]))


def test_the_conversation_keeps_a_word_for_each(service):
    first = ask(service, "What is on it?", attachments=[PICTURE]).json()
    again = ask(service, "And now?", conversationId=first["conversationId"]).json()
    path = f"{service.url}/api/v1/conversations/{first['conversationId']}"
    headers = {"Authorization": f"Bearer {service.api_key}"}
    told = httpx.get(path, headers=headers, trust_env=False)
    assert told.status_code == 200
    assert CANARY not in told.text
    assert again["usage"]["inputTokens"] < 10_000


def test_without_files_a_row_says_nothing_of_them(service):
    answer = ask(service, "Hello").json()
    (row,) = service.wait_for_rows(entityId=answer["id"])
    assert "attachments" not in row["metadata"]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ([PICTURE | {"type": "image/gif"}, PAPER, PICTURE | {"data": "?"}], ["[0].data", "[2].data"]),
        ([PAPER] * 6, [""]),
        ([PICTURE | {"type": "image/svg+xml"}], [""]),
        ([PICTURE | {"url": "https://example.com/cat.png"}], [""]),
        ([PICTURE | {"name": "a\nb"}], [""]),
        ("a file", [""]),
    ],
)
def test_what_is_wrong_with_files_is_named_with_all_that_is_wrong(service, given, fields):
    problem = ask(service, "", attachments=given).json()
    assert problem["status"] == 400
    named = [error["field"] for error in problem["errors"]]
    assert named == ["message", *(f"attachments{field}" for field in fields)]
    assert CANARY not in str(problem)


def test_a_larger_body_is_taken_where_the_settings_say_so_and_by_this_route_alone(start_service):
    service = start_service(AGENT_MAX_BODY_BYTES=str(4 << 20), AGENT_ATTACHMENTS="1")
    large = PICTURE | {"data": base64.b64encode(PNG.ljust(2 << 20, b"\x00")).decode()}
    assert ask(service, "What is on it?", attachments=[large]).status_code == 200
    assert ask(service, "x", attachments=[large, PAPER]).status_code == 400
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {service.api_key}", "Content-Type": "application/json"}
        refused = client.post(ROUTE, content=b" " * (5 << 20), headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
        assert str(4 << 20) in refused.json()["detail"]


def test_a_body_over_a_mebibyte_is_refused_as_ever_where_nothing_is_said(service):
    large = PICTURE | {"data": base64.b64encode(PNG.ljust(1 << 20, b"\x00")).decode()}
    assert ask(service, "What is on it?", attachments=[large]).status_code == 413


def test_none_are_taken_where_they_are_off(start_service):
    service = start_service(AGENT_ATTACHMENTS="0")
    problem = ask(service, "What is on it?", attachments=[PAPER]).json()
    assert [error["field"] for error in problem["errors"]] == ["attachments"]
    assert ask(service, "Hello", attachments=[]).status_code == 200
