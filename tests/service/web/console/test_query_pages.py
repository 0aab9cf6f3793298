"""Everybody's own queries and one query's life: who sees what of whose, on each engine."""

import asyncio
import re

import pytest
from msgspec import structs

from service.seal.vault import Vault
from service.store.feedback import Feedback
from service.web.queries import Lines
from telemetry import ids
from telemetry.canonical import commitment
from telemetry.failure import Code
from telemetry.record import Decision, Ending, Outcome, RateLimit, Reserved
from tests.harness.problems import problem
from tests.harness.records import CANARY, TRACE_ID, a_tool_call, an_opening, answered, failed, refused
from tests.service.store.rows import Row
from tests.service.web.attacks import Hand
from tests.service.web.console.looking import looking, words

OWN, HEAD, AUDITOR, READER = "user-1/AUDITEE", "h/AUDIT_HEAD", "a/AUDITOR", "a/AUDITOR/audit:content"
LIST = "/console/queries"
STRANGERS = ["eve/AUDITEE", "cfo/CFO", "g/GUEST", "e/AUDITEE/audit:content"]
ARGUMENTS, SALT = '{"expression":"6*7"}', "ab" * 32
VAULT = Vault(masters=(b"m" * 32,))
NO_SUCH = "There is no query of that id, or it is not yours."


@pytest.fixture
async def looked(database_url):
    async with looking(database_url, VAULT) as made:
        yield made


def with_arguments(**facts):
    call = a_tool_call(
        source="built_in",
        effects=False,
        arguments=ARGUMENTS,
        arguments_salt=SALT,
        arguments_commitment=commitment(SALT, ARGUMENTS),
        result_length=2,
    )
    return answered(tool_calls=(call,), **facts)


async def test_a_person_sees_ones_own_query_with_its_words_and_nobody_notes_it(looked):
    record = with_arguments()
    await looked.keep(record)
    page = await looked.life(record)
    assert CANARY in page
    assert "&#34;expression&#34;: &#34;6*7&#34;" in page
    assert "allowed by policy role Left 19 of 20 per minute" in page
    assert looked.noted == []


@pytest.mark.parametrize("caller", STRANGERS)
async def test_a_strangers_query_looks_like_one_that_never_was(looked, caller):
    record = answered()
    await looked.keep(record)
    path = f"{LIST}/{record.opening.turn_id}"
    theirs = await looked.get(path, caller)
    never = await looked.get(f"{LIST}/{ids.uuid7()}", caller)
    assert (theirs.status_code, never.status_code) == (404, 404)
    ids_left_out = re.compile(r"[0-9a-f-]{32,36}")
    assert ids_left_out.sub("", words(theirs.text)) == ids_left_out.sub("", words(never.text))
    assert NO_SUCH in theirs.text
    program = problem(await looked.get(path, caller, accept="*/*"), 404, "not_found")
    assert program["detail"].startswith(NO_SUCH)
    assert looked.noted == []


async def test_an_auditor_sees_what_happened_and_not_what_was_said(looked):
    record = with_arguments()
    await looked.keep(record)
    page = await looked.life(record, AUDITOR)
    assert CANARY not in page
    assert "6*7" not in page
    assert "Masked: you may see what happened" in page
    assert f"committed to as {commitment(SALT, ARGUMENTS)}" in page
    assert "&#34;query&#34;: &#34;(masked)&#34;" in page
    assert looked.noted == []


@pytest.mark.parametrize("caller", [HEAD, READER])
async def test_whoever_may_see_content_sees_it_and_that_is_kept(looked, caller):
    record = with_arguments()
    await looked.keep(record)
    page = await looked.life(record, caller)
    assert CANARY in page
    assert "6*7" in page
    (look,) = looked.noted
    told = f'"route":"GET {LIST}/{{turn_id}}"'
    assert (look.action, look.entity_id, told in look.metadata) == ("READ", record.opening.turn_id, True)


async def test_ones_own_is_no_look_at_anybody_whoever_one_is(looked):
    caller = structs.replace(an_opening().caller, user_id="h", role="AUDIT_HEAD")
    record = answered(opening=an_opening(caller=caller))
    await looked.keep(record)
    assert CANARY in await looked.life(record, HEAD)
    assert looked.noted == []


async def test_what_is_erased_is_said_to_be(looked):
    record = with_arguments()
    await looked.keep(record)
    await looked.erase("user-1")
    page = await looked.life(record, HEAD)
    assert "Erased at its owner" in page
    assert CANARY not in page
    assert "6*7" not in page
    assert (await looked.get(f"{LIST}/{record.opening.turn_id}", OWN)).status_code == 404


async def test_what_is_sealed_opens_for_its_owner_and_stays_shut_for_an_auditor(database_url):
    async with looking(database_url, Vault(masters=(b"m" * 32,), sealed=True)) as looked:
        record = with_arguments()
        await looked.keep(record)
        assert CANARY in await looked.life(record, OWN)
        assert CANARY in (await looked.get(LIST, OWN)).text.replace("&#39;", "'")
        shut = await looked.life(record, AUDITOR)
        assert CANARY not in shut
        assert "Sealed: it is kept encrypted." in shut
    async with looking(database_url, Vault(masters=(b"n" * 32,), sealed=True)) as looked:
        assert "It cannot be read any more" in await looked.life(record, OWN)


async def test_what_a_refusal_says(looked):
    limit = RateLimit(
        decision=Decision.DENIED,
        policy="role",
        limit=3,
        window_ms=1_000,
        remaining=0,
        retry_after_ms=1_500,
        degraded=True,
    )
    record = refused(opening=an_opening(rate_limit=limit))
    await looked.keep(record)
    page = await looked.life(record)
    assert "Rate limit exceeded. You can send up to 3 requests per second." in page
    assert "rate_limited , status 429 Fault policy" in page
    assert "Retry after 1.50 s" in page
    assert "degraded Runbook: LimitsDegraded" in page
    assert "The model was not asked." in page
    assert "&#34;type&#34;: &#34;rate_limit_exceeded&#34;" in page
    markup = (await looked.get(f"{LIST}/{record.opening.turn_id}")).text
    assert 'href="/console/runbook#ratelimitspike"' in markup


ENDINGS = {
    Outcome.FAILED: (Code.UPSTREAM_ERROR, "agentservicespike"),
    Outcome.TIMED_OUT: (Code.TURN_TIMEOUT, "agentservicespike"),
    Outcome.INTERRUPTED: (Code.SHUTTING_DOWN, "turnsinterrupted"),
    Outcome.SHUTDOWN: (Code.SHUTTING_DOWN, "networkspike"),
}


@pytest.mark.parametrize("outcome", ENDINGS)
async def test_what_an_ending_says_and_which_advice_it_leads_to(looked, outcome):
    code, section = ENDINGS[outcome]
    record = failed(code, outcome)
    await looked.keep(record)
    page = await looked.get(f"{LIST}/{record.opening.turn_id}")
    assert f"{outcome.value.replace('_', ' ')} {code}" in words(page.text)
    assert f'href="/console/runbook#{section}"' in page.text
    assert "timestamp, spanId, error, stack." in words(page.text)
    assert f'id="{section}"' in (await looked.get("/console/runbook")).text


async def test_a_client_that_left_did_nothing_wrong(looked):
    record = answered(ending=Ending(Outcome.CLIENT_GONE))
    await looked.keep(record)
    page = await looked.life(record)
    assert "client gone" in page
    assert "What went wrong" not in page


async def test_money_and_feedback_are_told(looked):
    record = answered(opening=an_opening(reserved=Reserved(lease="l", micros=51_000)))
    await looked.keep(record)
    said = Feedback(turn_id=record.opening.turn_id, rating="up", comment="Just so.", given_at=1)
    await looked.database.feedback.give("user-1", said, None)
    page = await looked.life(record)
    assert "Reserved $0.0510 before the model was asked Charged $0.001200" in page
    assert "Good answer" in page
    assert "Just so." in page
    masked = await looked.life(record, AUDITOR)
    assert "Good answer" in masked
    assert "Just so." not in masked


async def test_a_rows_proof_is_verified_where_a_checkpoint_covers_it(looked, database_url):
    record = answered()
    await looked.keep(record)
    assert "It is sealed, and under no checkpoint yet" in await looked.life(record)
    assert await looked.sealing.seal(force=True)
    assert "It is in the sealed log as it was written" in await looked.life(record)
    hand = Hand(database_url)
    hand.unguard()
    hand.change(0, cost_micros=1)
    page = await looked.life(record)
    assert "does not hold" in page
    assert "Runbook: AuditInvalid" in page


async def test_rows_of_every_age_are_shown(looked):
    await looked.database.audit.append(
        [Row(id="old-1"), Row(id="old-2", code="internal", category="unknown")]
    )
    page = await looked.get(f"{LIST}/old-1", HEAD)
    assert page.status_code == 200
    assert "How much did we spend?" in page.text
    assert (await looked.get(f"{LIST}/old-2", HEAD)).status_code == 200


async def test_other_events_are_no_queries(looked):
    await looked.database.audit.append([Row(id="look-1", entity_type="AUDIT_EVENT", action="READ")])
    assert (await looked.get(f"{LIST}/look-1", HEAD)).status_code == 404


async def test_a_line_that_the_sample_left_out_is_said_to_be(database_url):
    async with looking(database_url, lines=Lines(rate=0.0, query=False)) as looked:
        record, broken = answered(), failed()
        await looked.keep(record, broken)
        page = await looked.life(record)
        assert "This line was not written:" in page
        assert "&#34;query&#34;" not in page
        assert "This line was not written:" not in await looked.life(broken)


async def test_a_list_has_ones_own_alone_a_page_at_a_time(looked):
    mine = [answered(opening=an_opening(query=f"Mine {each}", opened_at=each + 10**15)) for each in range(5)]
    caller = structs.replace(an_opening().caller, user_id="eve")
    await looked.keep(*mine, answered(opening=an_opening(caller=caller, query="Theirs")))
    first = await looked.get(LIST, limit=3)
    assert re.findall(r"Mine \d", first.text) == ["Mine 4", "Mine 3", "Mine 2"]
    assert "Theirs" not in first.text
    further = re.search(r'rel="next" href="([^"]+)"', first.text)[1].replace("&amp;", "&")
    second = await looked.get(further)
    assert re.findall(r"Mine \d", second.text) == ["Mine 1", "Mine 0"]
    assert 'rel="next"' not in second.text
    assert '<a class="button" href="/console/queries">Latest</a>' in second.text
    assert (await looked.get(further, "eve/AUDITEE")).status_code == 400
    assert "No queries yet" in (await looked.get(LIST, "nobody/GUEST")).text
    assert looked.noted == []


async def led(looked, caller, given):
    answer = await looked.get(LIST, caller, find=given)
    assert answer.status_code == 303
    return answer.headers["location"]


async def test_an_id_leads_to_its_query(looked):
    record = answered()
    await looked.keep(record)
    turn_id = record.opening.turn_id
    assert await led(looked, OWN, f"  {turn_id} ") == f"{LIST}/{turn_id}"
    assert await led(looked, OWN, TRACE_ID.upper()) == f"{LIST}/{turn_id}"
    assert await led(looked, HEAD, TRACE_ID) == f"{LIST}/{turn_id}"
    # a stranger's trace leads where one that never was leads
    assert await led(looked, "eve/AUDITEE", TRACE_ID) == f"{LIST}/{TRACE_ID}"
    assert await led(looked, OWN, "a/../b?c") == f"{LIST}/a%2F..%2Fb%3Fc"
    assert (await looked.get(LIST, find="")).status_code == 200


async def test_a_trace_of_several_turns_leads_to_a_list(looked):
    await looked.keep(answered(), failed())
    assert await led(looked, OWN, TRACE_ID) == f"{LIST}?traceId={TRACE_ID}"
    assert await led(looked, AUDITOR, TRACE_ID) == f"/console/audit?traceId={TRACE_ID}"
    page = await looked.get(LIST, traceId=TRACE_ID)
    assert page.text.count(f'<a href="{LIST}/') == 2
    assert "No queries yet" in (await looked.get(LIST, traceId="0" * 32)).text


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "traceId=x", "cursor=x", "nonsense=1"])
async def test_what_is_not_asked_well_is_named(looked, query):
    problem(await looked.get(f"{LIST}?{query}", accept="*/*"), 400, "invalid_request")


async def test_a_young_id_is_waited_for(looked):
    record = answered(opening=an_opening())
    task = asyncio.ensure_future(looked.get(f"{LIST}/{record.opening.turn_id}"))
    await asyncio.sleep(0.1)
    await looked.keep(record)
    assert (await task).status_code == 200


async def test_nobody_sees_nothing(looked):
    for path in (LIST, f"{LIST}/{ids.uuid7()}", "/console/runbook"):
        answer = await looked.client.get(path, headers={"accept": "text/html"})
        assert answer.status_code == 401
