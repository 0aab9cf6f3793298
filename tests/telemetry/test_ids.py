import subprocess
import sys
import threading
import time
from uuid import UUID

from telemetry import ids


def milliseconds(text: str) -> int:
    return UUID(text).int >> 80


def test_an_id_is_a_uuid_of_version_7_and_the_rfc_variant():
    made = [UUID(ids.uuid7()) for _ in range(1000)]
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}


def test_an_id_says_when_it_was_made():
    before = time.time_ns() // 1_000_000
    made = milliseconds(ids.uuid7())
    # ids made faster than the clock ticks run ahead of it, here by far less than a second
    assert before <= made <= time.time_ns() // 1_000_000 + 1_000


def test_ids_rise_and_never_repeat():
    made = [ids.uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_ids_rise_when_the_clock_went_back(monkeypatch):
    an_hour_on = (time.time_ns() // 1_000_000 + 3_600_000) << 12
    monkeypatch.setattr(ids, "_last", an_hour_on)
    made = [ids.uuid7() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert milliseconds(made[0]) >= an_hour_on >> 12
    assert {UUID(each).version for each in made} == {7}


def test_a_full_fraction_carries_into_the_milliseconds(monkeypatch):
    later = time.time_ns() // 1_000_000 + 3_600_000
    monkeypatch.setattr(ids, "_last", (later << 12) | 0xFFF)
    made = UUID(ids.uuid7())
    assert (made.int >> 80, made.int >> 64 & 0xFFF, made.version) == (later + 1, 0, 7)


def test_threads_never_share_an_id():
    made: list[list[str]] = [[] for _ in range(8)]
    gate, interval = threading.Barrier(8), sys.getswitchinterval()

    def make(into: list[str]) -> None:
        gate.wait()
        into.extend(ids.uuid7() for _ in range(2_000))

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=make, args=(into,)) for into in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert all(into == sorted(into) for into in made)
    # the time part alone must differ: the random part would hide a race
    assert len({UUID(each).int >> 64 for into in made for each in into}) == 16_000


def test_one_thread_waits_for_another():
    made: list[str] = []
    thread = threading.Thread(target=lambda: made.append(ids.uuid7()))
    with ids._lock:
        thread.start()
        thread.join(0.05)
        assert made == []
    thread.join()
    assert len(made) == 1


def test_the_random_part_differs():
    assert len({UUID(ids.uuid7()).int & ((1 << 62) - 1) for _ in range(1000)}) == 1000


def test_a_minted_span_has_ids_of_its_own_and_records_nothing():
    one, two = ids.mint_span(), ids.mint_span()
    assert one.get_span_context().is_valid
    assert not one.is_recording()
    assert one.get_span_context().trace_id != two.get_span_context().trace_id
    assert not one.get_span_context().trace_flags.sampled


FORKING = """
import os
from telemetry import ids
ids.uuid7()
reader, writer = os.pipe()
if not (child := os.fork()):
    os.write(writer, ids.uuid7().encode())
    os._exit(0)
os.waitpid(child, 0)
print(os.read(reader, 36).decode(), ids.uuid7())
"""


def test_a_forked_process_draws_randomness_of_its_own():
    told = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True).stdout
    theirs, ours = (UUID(each).int & ((1 << 62) - 1) for each in told.split())
    assert theirs != ours
