"""Checkpoints told to files and to a web server of the test's own."""

import asyncio
import json
import logging
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from config.settings import Audit
from service.audit.outlets import append, outlets, telling
from telemetry.outlet import CAPACITY
from telemetry.post import post

LINE = b'{"checkpoint":"x"}'


class Taken(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        statuses, got = self.server.statuses, self.server.got
        got.append((self.path, self.headers["content-type"], self.headers["authorization"], body))
        self.send_response(statuses.pop(0) if statuses else 204)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self):
        self.server.got.append((self.path, "followed", None, b""))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def serving(*statuses):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taken)
    server.statuses, server.got = [*statuses], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def complaints(caplog):
    lines = (record.line for record in caplog.records if record.name == "parley")
    return [line.fields for line in lines if line.type == "checkpoint_untold"]


def test_lines_are_appended_to_a_file_of_its_owners_alone(tmp_path):
    path = tmp_path / "checkpoints.jsonl"
    for line in (LINE, b'{"checkpoint":"y"}'):
        append(str(path), line)
    assert [json.loads(line)["checkpoint"] for line in path.read_text().splitlines()] == ["x", "y"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_post_is_json_with_the_addresss_credentials():
    with serving() as (server, url):
        post(url.replace("://", "://me:pass%20word@") + "/here", LINE)
    assert server.got == [("/here", "application/json", "Basic bWU6cGFzcyB3b3Jk", LINE)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 500])
def test_a_post_that_is_not_taken_fails_and_follows_nowhere(status):
    with serving(status) as (server, url), pytest.raises(OSError, match=str(status)):
        post(f"{url}/here", LINE)
    assert [path for path, *_ in server.got] == ["/here"]


def test_the_settings_name_the_outlets(tmp_path):
    assert [each.name for each in outlets(Audit())] == ["file"]
    named = outlets(Audit(checkpoint_file=str(tmp_path / "f"), checkpoint_webhook="http://127.0.0.1:1/"))
    assert [each.name for each in named] == ["file", "webhook"]


async def test_what_is_not_taken_is_told_again_in_order_and_said(caplog):
    with serving(500, 500) as (server, url):
        outlet = telling("webhook", lambda line: post(url, line), pauses=(0.001,))
        for line in (b"1", b"2", b"3"):
            outlet.tell(line)
        await outlet.finish(30)
    assert [body for *_, body in server.got] == [b"1", b"1", b"1", b"2", b"3"]
    assert [(each["outlet"], each["waiting"]) for each in complaints(caplog)] == [("webhook", 3)] * 2
    assert all("500" in each["error"] and "127.0.0.1" not in each["error"] for each in complaints(caplog))


async def test_the_oldest_give_way_where_too_many_wait(caplog):
    told, closed = [], threading.Event()

    def send(line):
        closed.wait()
        told.append(line)

    outlet = telling("file", send)
    for number in range(CAPACITY + 2):
        outlet.tell(b"%d" % number)
    closed.set()
    await outlet.finish(30)
    assert told == [b"%d" % number for number in range(2, CAPACITY + 2)]
    assert len(complaints(caplog)) == 2


def test_the_folder_of_a_file_is_made_and_its_owners_alone(tmp_path):
    append(str(tmp_path / "var" / "f"), LINE)
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


async def test_one_that_waits_at_the_end_is_said_and_left(caplog, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    outlet = telling("file", lambda line: append(str(tmp_path / "file" / "f"), line))
    outlet.tell(LINE)
    await outlet.finish(0.05)
    assert complaints(caplog)[-1] == {"outlet": "file", "error": "the service ends", "waiting": 1}
    assert len(asyncio.all_tasks()) == 1


async def test_no_file_is_synced_on_the_loops_thread(tmp_path):
    threads = []

    def send(line):
        threads.append(threading.get_ident())
        append(str(tmp_path / "f"), line)

    outlet = telling("file", send)
    outlet.tell(LINE)
    await outlet.finish(30)
    assert threads
    assert threading.get_ident() not in threads


def test_a_line_that_is_not_whole_is_an_error():
    with pytest.raises(OSError, match="No space"):
        append("/dev/full", LINE)


@pytest.fixture(autouse=True)
def lines_are_seen(caplog):
    caplog.set_level(logging.INFO, logger="parley")
