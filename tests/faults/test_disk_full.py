"""The journal's disk is full, or none at all: what runs is recorded, what cannot be is told."""

import json
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.failpoint import KILLED
from tests.conftest import MANY
from tests.faults.lives import Lives, up
from tests.faults.verdict import judged
from tests.harness.chat import ask, stream
from tests.harness.need import missing, need
from tests.harness.service import Service
from tests.harness.waiting import PATIENCE, wait

SIZE = "size=40m"
SLOW = "[sim:slow:150]"
PLACES = ("before", "renamed", "written")
"""Within the use of the last room."""
BODY = {
    "type": "urn:parley:error:database",
    "status": 503,
    "error": "A database error occurred. Please try again in a moment.",
    "category": "database",
    "code": "audit_unwritable",
    "retryable": True,
    "fault": "service",
}


@contextmanager
def mounted(folder: Path, *options: str):
    """A small disk of its own on a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = [need("mount"), "-t", "tmpfs", "-o", ",".join((SIZE, *options)), "tmpfs", str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([need("umount"), "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk") as folder:
        yield folder


def fill(folder: Path) -> Path:
    """Take all the room there is, to the last byte."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return filler


def service_on(disk: Path, tmp_path: Path, **settings: str) -> Service:
    return Service(tmp_path, {"AGENT_JOURNAL_DIR": str(disk / "journal"), **MANY, **settings})


def readiness(service: Service) -> tuple[int, str, str]:
    response = httpx.get(f"{service.url}/health/ready", timeout=PATIENCE)
    told = response.json()
    return response.status_code, told["status"], told["dependencies"]["journal"]["status"]


def gather(service: Service, number: int) -> tuple[list[threading.Thread], list]:
    """Streams under way, each of which has heard of its turn; the events they end with."""
    ends, begun = [], threading.Barrier(number + 1)

    def listen() -> None:
        with stream(service, f"Hello {SLOW}") as answer:
            answer.until("turn")
            begun.wait()
            ends.append(answer.rest()[-1])

    threads = [threading.Thread(target=listen) for _ in range(number)]
    for thread in threads:
        thread.start()
    begun.wait(PATIENCE)
    return threads, ends


def refused(service: Service) -> httpx.Response | None:
    """An ask's answer where it is a refusal."""
    answer = ask(service, "Hello")
    return answer if answer.status_code != 200 else None


def rows_of(service: Service) -> dict[str, str]:
    return {row["entityId"]: row["outcome"] for row in service.rows()}


def is_refused_as_the_contract_says(answer: httpx.Response) -> bool:
    body = answer.json()
    assert {name: body[name] for name in BODY} == BODY
    assert (answer.status_code, body["requestId"]) == (503, answer.headers["x-request-id"])
    return float(answer.headers["retry-after"]) >= 1


def test_what_runs_finishes_and_what_comes_is_refused_until_there_is_room(disk, tmp_path):
    with service_on(disk, tmp_path) as service:
        threads, ends = gather(service, 6)
        filler = fill(disk)
        assert is_refused_as_the_contract_says(wait(lambda: refused(service), seen=service.said))
        assert readiness(service) == (503, "not_ready", "not_ready")
        more = [ask(service, "Hello").status_code for _ in range(30)]
        for thread in threads:
            thread.join()
        filler.unlink()
        wait(lambda: readiness(service) == (200, "ready", "up"), seen=service.said)
        last = ask(service, "Hello").json()
        assert service.stop() == 0
        assert more == [503] * 30
        assert [end.event for end in ends] == ["done"] * 6
        told = dict.fromkeys([*(end.data["id"] for end in ends), last["id"]], "answered")
        assert told.items() <= rows_of(service).items()
        kept = [row["count"] for row in service.rows() if row["code"] == "audit_unwritable"]
        assert (sum(kept), len(kept)) == (31, 21)
    assert [path.name for path in (disk / "journal").iterdir()] == ["alerts"]


def test_who_runs_on_leaves_a_gap_that_says_how_many(disk, tmp_path):
    with service_on(disk, tmp_path, AGENT_AUDIT_UNWRITABLE="continue") as service:
        ask(service, "Hello")
        filler = fill(disk)
        asked = []
        while readiness(service)[2] == "up":
            asked.append(ask(service, "Hello"))
        assert readiness(service) == (200, "degraded", "degraded")
        unkept = [ask(service, "Hello") for _ in range(10)]
        assert {each.status_code for each in asked + unkept} == {200}
        filler.unlink()
        gap = wait(lambda: gaps(service), seen=service.said)[0]
        assert len(unkept) <= gap <= len(unkept) + 1
        told = {each.json()["id"] for each in asked + unkept}
        wait(lambda: told <= rows_of(service).keys(), seen=service.said)


def gaps(service: Service) -> list[int]:
    found = service.sql("""SELECT metadata FROM "AuditEvent" WHERE "entityType" = 'AUDIT_GAP'""")
    return [json.loads(row["metadata"])["turns"] for row in found]


def test_a_journal_that_cannot_be_written_at_all_stops_the_start_in_a_sentence(tmp_path):
    with mounted(tmp_path / "disk") as folder:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        done = service_on(folder, tmp_path).cli("serve")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"parley: The journal cannot be begun in {folder}/journal: Read-only file system."
    )


def test_a_journal_that_is_no_folder_stops_the_start_in_a_sentence(tmp_path):
    file = tmp_path / "journal"
    file.write_text("no folder")
    done = Service(tmp_path, {"AGENT_JOURNAL_DIR": str(file)}).cli("serve")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith(f"parley: The journal cannot be begun in {file}")


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_while_the_last_room_is_written_to(tmp_path, place):
    lives = Lives(tmp_path, f"sqlite:///{tmp_path}/var/parley.db", seed=1)
    with mounted(lives.journal):
        process = lives.start(PARLEY_FAILPOINT=f"journal.reserve.{place}:1")
        up(process)
        filler = fill(lives.journal)
        wait(lambda: process.code == KILLED, seen=process.said)
        lives.end(process)
        filler.unlink()
        lives.settle()
        verdict = judged(lives)
    assert verdict.faults == []
    assert verdict.lost == 0
    assert verdict.interrupted > 0
