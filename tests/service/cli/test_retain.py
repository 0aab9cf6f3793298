import asyncio
import json

import pytest

from service.cli import state
from service.seal.checkpoint import Checkpoint, Signer
from service.seal.keys import derived
from service.store.database import open_database
from tests.harness.sql import ask
from tests.service.store.people import EVENTS, live, people

ANN = people(1, 61)[0]
OLD, NEW = "o" * 40, "n" * 40
SIGNER = Signer(derived(b"s" * 32))


def lived(parley, tmp_path, **settings):
    """A database in which somebody left records, long ago and under a checkpoint; gives its URL."""

    async def fill(given):
        database = await open_database(given.database_url, state.vault(given))
        await live(database, ANN)
        await database.checkpoints.seal(
            lambda size, root, chain, at: SIGNER.note(Checkpoint("parley", size, root, at, chain)), 1
        )
        await database.close()

    assert parley("migrate", **settings).status == 0
    with pytest.MonkeyPatch.context() as patched:
        for name, value in settings.items():
            patched.setenv(name, value)
        asyncio.run(fill(state.settings()))
    return f"sqlite:///{tmp_path}/var/parley.db"


def test_old_events_are_counted_and_then_removed(parley, tmp_path):
    url = lived(parley, tmp_path)
    turns = "SELECT id FROM audit_event WHERE entity_type = 'AGENT_QUERY'"
    said = parley("audit", "retain", "--days", "30", "--dry-run", "--json")
    told = json.loads(said.out)
    assert (said.status, told["events"], told["dryRun"], len(ask(url, turns))) == (0, EVENTS, True, EVENTS)
    said = parley("audit", "retain", "--days", "30")
    assert (said.status, said.out.split(" events")[0], ask(url, turns)) == (0, str(EVENTS), [])
    assert parley("audit", "retain", "--days", "30", "--json").out.startswith('{"events":0,')


def test_the_age_is_the_settings_where_none_is_given(parley, tmp_path):
    lived(parley, tmp_path)
    said = parley("audit", "retain", "--dry-run", "--json", AGENT_AUDIT_RETENTION_DAYS="36500")
    assert (json.loads(said.out)["days"], json.loads(said.out)["events"]) == (36_500, 0)
    assert parley("audit", "retain").status == 2


@pytest.mark.parametrize("days", ["0", "-1", "x", "36501", "1e3", "0036500999", "\u0663", "9" * 5000])
def test_an_age_that_is_none_is_wrong_use(parley, days):
    said = parley("audit", "retain", "--days", days)
    assert (said.status, said.out) == (2, "")
    assert "Traceback" not in said.err


def test_a_new_key_reads_what_the_earlier_one_sealed_and_needs_it_no_longer(parley, tmp_path):
    settings = {"AGENT_AUDIT_CONTENT": "sealed", "AGENT_SECRET_KEY": OLD}
    lived(parley, tmp_path, **settings)
    settings["AGENT_SECRET_KEY"] = NEW
    lost = json.loads(parley("audit", "list", "--json", **settings).out)["events"]
    assert {each["metadata"]["content"] for each in lost} == {"unreadable"}
    said = parley("audit", "rotate-keys", "--json", AGENT_SECRET_KEY_PREVIOUS=OLD, **settings)
    assert (said.status, json.loads(said.out)) == (
        0,
        {"dataKeys": 1, "contents": 0, "quarantined": 1, "unreadable": 0},
    )
    found = json.loads(parley("audit", "list", "--json", **settings).out)["events"]
    assert [each["metadata"]["query"] for each in found][::-1] == list(ANN.texts)


def test_what_opens_with_no_key_is_told_by_the_status(parley, tmp_path):
    lived(parley, tmp_path, AGENT_AUDIT_CONTENT="sealed", AGENT_SECRET_KEY=OLD)
    said = parley("audit", "rotate-keys", AGENT_SECRET_KEY=NEW)
    assert said.status == 1
    assert "2 unreadable" in said.out
