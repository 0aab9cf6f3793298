"""A chat request as a turn takes it."""

import json
from uuid import UUID

import pytest

from config.settings import Model, Settings
from service.auth.credentials import Credentials
from service.errors import InvalidRequest, TooLarge, UnsupportedMediaType
from service.web.ask import Headers, HttpAsk, accepts_stream, is_json
from service.web.idempotency import Keys
from service.web.identity import Identity

IDENTITY = Identity(request_id="r1", trace_id="0" * 32, client_request_id="theirs")
KEYS = Keys(None, 1_000)
SETTINGS = Settings(model=Model(name="m1", names=("m1", "m2"), max_tokens=100))


def ask_of(body=None, *, settings=SETTINGS, accept="*/*", content_type="application/json", **fields):
    headers = Headers(
        credentials=Credentials(authorization="the header"), content_type=content_type, accept=accept
    )
    data = json.dumps({"message": "hi"} | fields).encode() if body is None else body

    async def identify(credentials):
        return f"caller of {credentials.authorization}"

    return HttpAsk(IDENTITY, headers, data, settings, identify, KEYS)


def wrong(**fields):
    with pytest.raises(InvalidRequest) as raised:
        ask_of(**fields).question()
    return {error.field: error.message for error in raised.value.fields}


async def test_the_caller_is_named_by_the_header():
    ask = ask_of()
    assert await ask.caller() == "caller of the header"
    assert (ask.turn_id, ask.client_request_id, ask.route) == ("r1", "theirs", "POST /api/v1/agent/chat")


def test_a_bare_question_has_our_defaults():
    question = ask_of().question()
    assert (question.message, question.model, question.max_tokens, question.streamed) == (
        "hi",
        "",
        100,
        False,
    )
    assert UUID(question.conversation_id).version == 7


def test_a_full_question_has_the_callers_words():
    given = "0190163D-8694-739B-B3C1-CF0A1B2C3D4E"
    question = ask_of(conversationId=given, model="m2", maxTokens=1, stream=True).question()
    assert (question.conversation_id, question.model) == (given.lower(), "m2")
    assert (question.max_tokens, question.streamed) == (1, True)


def test_null_is_as_good_as_absent():
    question = ask_of(conversationId=None, model=None, maxTokens=None, stream=None).question()
    assert (question.model, question.max_tokens, question.streamed) == ("", 100, False)


def test_each_question_without_a_conversation_begins_one():
    assert ask_of().question().conversation_id != ask_of().question().conversation_id


def test_all_errors_come_at_once_also_those_beyond_the_types():
    assert wrong(message="", model="m3", maxTokens=101, conversationId="x", y=1) == {
        "y": "Unknown field",
        "message": "Expected `str` of length >= 1",
        "conversationId": "Invalid UUID",
        "model": "Expected one of m1, m2",
        "maxTokens": "Expected `int` <= 100",
    }


@pytest.mark.parametrize("blanks", [" ", "\n\t ", "\u3000\u00a0", "\x1f"])
def test_a_message_of_blanks_only_asks_nothing(blanks):
    assert wrong(message=blanks) == {"message": "Expected `str` matching regex '\\\\S'"}
    assert ask_of(message=f"{blanks}x{blanks}").question().message == f"{blanks}x{blanks}"


@pytest.mark.parametrize("name", ["", "m", "M1", " m1", "m1\x00", "claude-sonnet-5-5"])
def test_only_the_models_that_are_set_may_be_named(name):
    assert wrong(model=name) == {"model": "Expected one of m1, m2"}


@pytest.mark.parametrize("number", [101, 2**31, 2**64, 10**300])
def test_no_more_tokens_than_are_set(number):
    assert wrong(maxTokens=number) == {"maxTokens": "Expected `int` <= 100"}


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x",
        "0190163d-8694-739b-b3c1-cf0a1b2c3d4",
        "0190163d-8694-739b-b3c1-cf0a1b2c3d4e0",
        "{0190163d-8694-739b-b3c1-cf0a1b2c3d4e}",
        "urn:uuid:0190163d-8694-739b-b3c1-cf0a1b2c3d4e",
        "0190163d-8694-739b-b3c1-cf0a1b2c3d4g",
        " 0190163d-8694-739b-b3c1-cf0a1b2c3d4e",
    ],
)
def test_a_conversation_is_a_uuid(given):
    assert wrong(conversationId=given) == {"conversationId": "Invalid UUID"}


@pytest.mark.parametrize(
    ("content_type", "known"),
    [
        ("application/json", True),
        ("Application/JSON", True),
        ("application/json; charset=utf-8", True),
        ('application/json;charset="UTF-8"', True),
        ("application/json; charset=utf8", True),
        ("application/json; profile=x", True),
        ("application/json; charsetting=latin-1", True),
        ("application/vnd.api+json", False),
        ("application/json; charset=latin-1", False),
        ("application/json; charset=utf-16", False),
        ("application/json; charset=", False),
        ("text/plain", False),
        ("text/json", False),
        ("application/jsonp", False),
        ("multipart/form-data", False),
        ("application/x-www-form-urlencoded", False),
        ("*/*", False),
        ("", False),
        (";", False),
    ],
)
def test_only_json_is_taken(content_type, known):
    assert is_json(content_type) is known
    ask = ask_of(content_type=content_type)
    if known:
        ask.question()
    else:
        with pytest.raises(UnsupportedMediaType):
            ask.question()


def test_a_body_that_was_too_large_comes_before_its_type():
    with pytest.raises(TooLarge, match="large"):
        ask_of(TooLarge("too large"), content_type="text/plain").question()


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream", True),
        ("text/event-stream;q=0.5", True),
        ("text/event-stream; charset=utf-8", True),
        ("application/json, text/event-stream", True),
        ("application/json,text/event-stream ; q=1", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream; q=0.000", False),
        ("text/event-streams", False),
        ("x-text/event-stream", False),
        ('application/json; x="text/event-stream"', False),
        ("text/*", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_accept_asks_for_a_stream_where_the_body_does_not_say(accept, wanted):
    assert accepts_stream(accept) is wanted
    assert ask_of(accept=accept).question().streamed is wanted
    assert ask_of(accept=accept, stream=False).question().streamed is False
    assert ask_of(accept=accept, stream=True).question().streamed is True


def test_nothing_streams_where_streaming_is_off():
    off = Settings(streaming_enabled=False)
    assert ask_of(settings=off, stream=True).question().streamed is False
    assert ask_of(settings=off, accept="text/event-stream").question().streamed is False
