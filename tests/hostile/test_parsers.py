"""Every parser of ours, given what is near to a good form: it reads or refuses in its own words, and ends."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import SettingsError
from config.env import load
from service.audit.journal import entry, header
from service.audit.journal.cipher import Cipher
from service.audit.journal.frame import framed
from service.audit.journal.scan import Scan
from service.auth.credentials import bearer, session_cookie
from service.auth.json_object import read_object
from service.auth.tokens import header_of
from service.errors import InvalidRequest, ServiceError, Unauthenticated
from service.seal.checkpoint import Checkpoint, NotGenuine, Signer, Verifier, read
from service.seal.keys import KeyUnreadable, derived, public_key
from service.tools.mcp.file import read_servers
from service.web import fields, parameters
from service.web.address import Origin
from service.web.ask import ChatBody
from service.web.cursor import Cursors
from service.web.idempotency import sent
from service.web.identity import client_request_id
from service.web.resumed import NUMBER
from tests.harness.sse import Parser
from tests.hostile.mutation import fuzzed, near, near_text, texts

SIGNER = Signer(derived(b"s" * 32))
NOTE = SIGNER.note(Checkpoint("parley/" + "0" * 32, 7, b"r" * 32, 1_700_000_000_000_000, b"c" * 32))
CIPHER = Cipher((b"k" * 32,), "a" * 32, "b" * 32)
BODIES = [b"H{}", *(CIPHER.seal(number, entry.encoded(entry.Kind.ROW, "id", b"row")) for number in (1, 2, 3))]
JOURNAL = b"".join(framed(number, body) for number, body in enumerate(BODIES))
CURSORS = Cursors((b"c" * 32,))
CURSOR = CURSORS.write((1_700_000_000_000_000, 7), b"question")
STREAM = b'id: 1\nevent: turn\ndata: {"id": "x"}\n\n: silence\n\nid: 2\nevent: done\ndata: {}\n\n'
SERVERS = {"mcpServers": {"one": {"command": "run", "args": ["-x"], "env": {"A": "${B}"}, "timeoutMs": 5}}}
QUERY = "actor=ann&from=2025-01-31&to=2025-01-31T12:00:00Z&limit=50&q=a%20b"
NAMES = ("AGENT_PORT", "AGENT_RATE_LIMIT_ROLES", "AGENT_BUDGET_USER_DAY_USD", "DATABASE_URL", "AGENT_TOOLS")


@fuzzed
@given(near(JOURNAL))
def test_the_journal_gives_no_entry_that_was_not_written(data):
    scan = Scan(lambda size, offset: data[offset : offset + size], 0, len(data))
    frames = list(scan)
    assert scan.at == len(data)
    assert sum(frame.end - frame.start for frame in frames) + scan.damaged <= len(data)
    for frame in frames:
        header.decoded(frame.body)
        plain = CIPHER.unseal(frame.seq, frame.body)
        assert plain is None or BODIES[frame.seq] == frame.body
        if plain is not None:
            assert entry.decoded(plain) == entry.Entry(entry.Kind.ROW, "id", b"row")


@fuzzed
@given(st.binary(max_size=300))
def test_an_entry_of_anything_is_an_entry_or_none(data):
    found = entry.decoded(data)
    assert found is None or entry.encoded(found.kind, found.id, found.content) == data


@fuzzed
@given(near_text(CURSOR))
def test_no_cursor_holds_that_was_not_written(cursor):
    with contextlib.suppress(InvalidRequest):
        CURSORS.read(cursor, b"question")
        assert cursor == CURSOR


@fuzzed
@given(near_text(NOTE))
def test_no_note_is_genuine_that_was_not_signed(note):
    with contextlib.suppress(NotGenuine):
        read(note, [Verifier(SIGNER.public)])
        assert note == NOTE


@fuzzed
@given(near_text("parley+00000000+AQID"))
def test_a_public_key_is_one_or_is_refused(text):
    with contextlib.suppress(KeyUnreadable):
        public_key(text)


@fuzzed
@given(near(STREAM), st.integers(1, 7))
def test_a_stream_is_the_same_however_it_is_cut(data, size):
    whole, pieces = Parser(), Parser()
    told = [event for at in range(0, len(data), size) for event in pieces.feed(data[at : at + size])]
    assert whole.feed(data) == told


@fuzzed
@given(st.dictionaries(st.sampled_from(NAMES), near_text("CFO=100,GUEST=10"), max_size=4), texts())
def test_settings_are_read_or_refused_by_name(environ, stray):
    with contextlib.suppress(SettingsError):
        load({**environ, f"AGENT_{stray}": "1"} if stray else environ, None)


@fuzzed
@given(near_text("AGENT_PORT=1\nLOG_LEVEL='debug'\nA=\"b\\n\" # c\n"))
def test_a_file_of_settings_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzzed.env"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(SettingsError):
        load({}, path)


@fuzzed
@given(near(json.dumps(SERVERS).encode()))
def test_a_file_of_servers_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "servers.json"
    path.write_bytes(data)
    with contextlib.suppress(SettingsError):
        read_servers(str(path), {"B": "secret"})


@fuzzed
@given(st.lists(near_text("a key of mine"), max_size=3), near(b'{"message": "x"}'))
def test_an_idempotency_key_is_one_or_is_named(keys, body):
    found = sent(keys, body)
    assert (found is None) is (not keys)
    if found and not found.errors:
        assert found.key.isascii()
        assert found.key.isprintable()


@fuzzed
@given(near_text("12"))
def test_the_id_of_an_event_is_a_number_or_none(text):
    if NUMBER.fullmatch(text):
        assert 0 <= int(text) < 10**9


@fuzzed
@given(near_text("Bearer parley_0123"), near_text("a=b; session=c.d.e"))
def test_a_credential_is_read_or_refused(authorization, cookie):
    with contextlib.suppress(Unauthenticated):
        assert bearer(authorization).isascii()
    with contextlib.suppress(Unauthenticated):
        assert session_cookie(cookie)


@fuzzed
@given(near_text("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.e30"))
def test_the_head_of_a_token_is_read_or_refused(token):
    with contextlib.suppress(Unauthenticated):
        header_of(token)


@fuzzed
@given(near(b'{"alg": "HS256", "kid": "k"}'))
def test_the_objects_of_a_token_are_read_or_refused(data):
    with contextlib.suppress(ValueError):
        read_object(data)


@fuzzed
@given(near(b"10.0.0.1, [::1]:8080, unknown"), st.one_of(st.none(), near_text("127.0.0.1")))
def test_an_address_is_told_whatever_proxies_write(data, peer):
    scope = {"client": (peer, 1) if peer else None, "headers": [(b"x-forwarded-for", data)]}
    assert isinstance(Origin(["127.0.0.1", "10.0.0.0/8"]).of(scope), str)


@fuzzed
@given(near(b"0123-abc"))
def test_a_request_id_is_kept_or_not(data):
    found = client_request_id({"headers": [(b"x-request-id", data)]})
    assert found is None or (found.isascii() and found.isprintable())


@fuzzed
@given(near(QUERY.encode()))
def test_a_query_is_read_or_refused_by_name(data):
    with contextlib.suppress(InvalidRequest):
        parameters.read(parameters.PageQuery, data)


@fuzzed
@given(near(b'{"message": "x", "conversationId": "01a21df6-13c9-7836-8ebe-3c1ea94c2dbe", "maxTokens": 5}'))
def test_a_body_is_read_or_refused_by_name(data):
    with contextlib.suppress(InvalidRequest):
        _, errors = fields.decode(ChatBody, data)
        assert all(msgspec.json.encode(each.message) for each in errors)


@pytest.mark.parametrize("digits", [10, 5_000])
def test_numbers_of_any_length_are_refused_and_no_error(digits):
    with contextlib.suppress(ServiceError):
        parameters.read(parameters.PageQuery, b"limit=" + b"9" * digits)
        pytest.fail("taken")
    assert NUMBER.fullmatch("9" * digits) is None
