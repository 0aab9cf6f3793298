"""One MCP server, from the first list to the last call: however it behaves, a call fails and nothing else."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config import Secret
from service.errors import ToolBroken, ToolFailed
from service.tools import Registry
from service.tools.mcp.file import Server
from service.tools.mcp.link import LONGEST, SHOWN
from service.tools.mcp.listing import DESCRIPTION, TOOLS
from service.tools.mcp.servers import Servers
from tests.harness.mcp_server import BOMBS, PROGRAM, HttpServer
from tests.harness.tools import run
from tests.harness.waiting import PATIENCE


def program(mode, *more, seconds=5.0, **known) -> Server:
    words = (PROGRAM, mode, *map(str, more))
    return Server(
        name="odd", command=sys.executable, args=tuple(map(Secret, words)), seconds=seconds, **known
    )


@asynccontextmanager
async def linked(server) -> AsyncIterator[Servers]:
    servers = Servers([server])
    servers.start()
    try:
        yield servers
    finally:
        await servers.stop()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


async def up(servers: Servers) -> Registry:
    await until(lambda: not servers.away())
    return Registry((), [servers.tools])


async def say(registry, text="hello", name="odd__say") -> str:
    return await run(registry, name, {"text": text})


async def test_a_call_gives_what_the_server_says():
    async with linked(program("good")) as servers:
        registry = await up(servers)
        assert await say(registry) == "hello"
        (tool,) = servers.tools()
        assert (tool.name, tool.source, tool.effects, tool.approval) == ("odd__say", "odd", False, False)
        with pytest.raises(ToolFailed, match="'text' is a required property"):
            await run(registry, "odd__say", {})


async def test_calls_run_beside_each_other():
    async with linked(program("good")) as servers:
        registry = await up(servers)
        texts = [str(number) for number in range(50)]
        assert await asyncio.gather(*(say(registry, text) for text in texts)) == texts


async def test_a_program_that_greets_is_heard_all_the_same():
    async with linked(program("greeting")) as servers:
        assert await say(await up(servers)) == "hello"


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("garbage", "it sent 100 lines that are no JSON-RPC"),
        ("deaf", "it was not ready within 0.5 s"),
        ("endless-line", "it sent a message longer than 4194304 bytes"),
        ("exits", "it ended"),
    ],
)
async def test_a_server_that_never_comes_to_stand_says_why(mode, why, lines):
    server = program(mode, seconds=0.5 if mode == "deaf" else 5.0)
    if mode == "exits":
        server = Server(name="odd", command="true")
    async with linked(server) as servers:
        await until(lambda: lines(type="mcp_lost"))
        assert lines(type="mcp_lost")[0]["server"] == "odd"
        assert servers.tools() == []
        assert lines(type="mcp_lost")[0]["reason"] == why


async def test_a_program_that_is_not_there_is_told_once(lines):
    async with linked(Server(name="odd", command="no-such-program-here")) as servers:
        await until(lambda: lines(type="mcp_lost"))
        await asyncio.sleep(1.2)  # two more attempts
        assert [line["reason"] for line in lines(type="mcp_lost")] == [
            "there is no program no-such-program-here"
        ]
        assert servers.away() == ["odd"]


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("dies", "The server odd is not there any more."),
        ("huge", "The server odd is not there any more."),
        ("slow", "The tool odd__say took longer than 1 seconds."),
        ("wrong-ids", "The tool odd__say took longer than 1 seconds."),
        ("junk", "The tool odd__say took longer than 1 seconds."),
        ("lying", "The server odd gave no result: its answer is none of MCP."),
    ],
)
async def test_a_call_that_goes_wrong_is_a_tool_that_is_broken(mode, said):
    async with linked(program(mode, seconds=1.0)) as servers:
        registry = await up(servers)
        with pytest.raises(ToolBroken) as broken:
            await say(registry)
        assert broken.value.detail == said


async def test_what_a_server_says_of_its_failure_is_told_bounded_and_printable():
    async with linked(program("failing")) as servers:
        with pytest.raises(ToolFailed) as failed:
            await say(await up(servers))
        detail = failed.value.detail
        assert detail.startswith("The server odd says that it failed: no  [31mway")
        assert detail.isprintable()
        assert len(detail) < 600


async def test_a_server_that_died_is_back_for_the_next_call(tmp_path, lines):
    starts = tmp_path / "starts"
    async with linked(program("good", starts)) as servers:
        registry = await up(servers)
        servers.links[0]._wait = LONGEST  # so that only the call brings it back in time
        os.kill(int(starts.read_text()), signal.SIGKILL)
        await until(lambda: lines(type="mcp_lost"))
        assert [tool.name for tool in servers.tools()] == ["odd__say"]
        assert await say(registry) == "hello"
        assert len(starts.read_text().split()) == 2
        assert [line["type"] for line in lines() if line["type"] != "mcp_said"] == [
            "mcp_connected",
            "mcp_lost",
            "mcp_connected",
        ]


async def test_a_server_that_is_gone_for_good_fails_each_call_by_its_name(tmp_path):
    here = tmp_path / "server"
    here.symlink_to(sys.executable)
    starts = tmp_path / "starts"
    server = Server(name="odd", command=str(here), args=tuple(map(Secret, (PROGRAM, "good", str(starts)))))
    async with linked(server) as servers:
        registry = await up(servers)
        here.unlink()
        os.kill(int(starts.read_text()), signal.SIGKILL)
        await until(servers.away)
        with pytest.raises(ToolBroken) as broken:
            await say(registry)
        assert broken.value.detail == "The server odd is not there."


@pytest.mark.parametrize("mode", ["good", "lingering"])
async def test_a_program_ends_with_us(mode, tmp_path):
    starts = tmp_path / "starts"
    async with linked(program(mode, starts)) as servers:
        await up(servers)
        assert alive(int(starts.read_text()))
    assert not alive(int(starts.read_text()))


def test_a_program_ends_when_we_are_killed(tmp_path):
    starts = tmp_path / "starts"
    script = (
        "import asyncio\n"
        "from service.tools.mcp.servers import Servers\n"
        "from tests.service.tools.mcp.test_link import linked, program, up\n"
        "async def main():\n"
        f"    async with linked(program('lingering', {str(starts)!r})) as servers:\n"
        "        await up(servers); print('up', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )

    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as ours:
        assert ours.stdout.readline() == b"up\n"
        ours.kill()
    pid = int(starts.read_text())
    for _ in range(round(PATIENCE * 100)):
        if not alive(pid):
            return

        time.sleep(0.01)
    pytest.fail("it lives")


async def test_of_ten_thousand_tools_the_first_are_taken_and_the_rest_told(lines):
    async with linked(program("many")) as servers:
        await up(servers)
        assert [tool.name for tool in servers.tools()] == [f"odd__t{i}" for i in range(TOOLS)]
        (told,) = lines(type="mcp_tools_refused")
        assert told["count"] == 1_000 - TOOLS + 1
        assert len(told["tools"]) == SHOWN


async def test_bad_tools_are_left_out_and_told_and_the_others_stay(lines):
    async with linked(program("bombs")) as servers:
        registry = await up(servers)
        assert [tool.name for tool in servers.tools()] == ["odd__good", "odd__doubled", "odd__regex"]
        (told,) = lines(type="mcp_tools_refused")
        assert told["level"] == "WARN"
        assert told["count"] == len(BOMBS) - 3 + 2
        assert {each["tool"]: each["reason"] for each in told["tools"]}["elsewhere"] == (
            "the schema refers to something elsewhere"
        )
        assert await run(registry, "odd__good", {"text": "x"}) == "x"
        with pytest.raises(ToolFailed, match="refers to itself too often"):
            await run(registry, "odd__doubled", {"a": 1})


async def test_a_list_without_an_end_is_left_at_some_point():
    async with linked(program("endless")) as servers:
        await up(servers)
        assert len(servers.tools()) == 1


async def test_a_description_is_bounded_and_hides_nothing():
    async with linked(program("injection")) as servers:
        await up(servers)
        (tool,) = servers.tools()
        assert tool.description.startswith("says it  gnikaerb [2J x")
        assert len(tool.description) == DESCRIPTION
        assert tool.description.isprintable()


async def test_a_server_that_describes_its_tools_anew_is_told_and_goes_on(lines):
    async with linked(program("changing")) as servers:
        registry = await up(servers)
        first = servers.tools()[0].description
        await until(lambda: lines(type="mcp_tools_changed"))
        told = lines(type="mcp_tools_changed")[0]
        assert (told["level"], told["added"], told["removed"], told["changed"]) == (
            "WARN",
            [],
            [],
            ["odd__say"],
        )
        assert servers.tools()[0].description != first
        assert await say(registry) == "hello"


async def test_a_server_that_cries_change_without_end_is_looked_at_once_a_second():
    async with linked(program("flood")) as servers:
        registry = await up(servers)
        assert await say(registry) == "hello"


async def test_what_a_server_asks_of_us_is_declined():
    async with linked(program("asks")) as servers:
        answers = json.loads(await say(await up(servers)))
        assert {kind: answer["message"] for kind, answer in answers.items()} == {
            "s": "Sampling not supported",
            "r": "List roots not supported",
            "e": "Elicitation not supported",
        }


async def test_what_is_no_text_is_named():
    async with linked(program("parts")) as servers:
        assert await say(await up(servers)) == (
            "first\n[image: image/png, not shown]\n[link: a file, file:///a]\n[resource: file:///b]\ninside\n"
            '[resource: file:///c, application/pdf, not shown]\n{"n":1}'
        )


async def test_over_http_too():
    server = HttpServer()
    try:
        there = Server(name="odd", url=Secret(server.url), headers={"Authorization": Secret("Bearer s3cret")})
        async with linked(there) as servers:
            assert await say(await up(servers)) == "hello"
            assert {headers["Authorization"] for headers, _ in server.seen} == {"Bearer s3cret"}
    finally:
        server.close()


async def test_an_address_that_comes_later_is_found_and_one_that_goes_fails(lines):
    free = HttpServer()
    port = free.port
    free.close()
    async with linked(Server(name="odd", url=Secret(free.url))) as servers:
        await until(lambda: lines(type="mcp_lost", reason="there was a ConnectError"))
        server = HttpServer(port=port)
        try:
            registry = await up(servers)
            assert await say(registry) == "hello"
        finally:
            server.close()
        with pytest.raises(ToolBroken):
            await say(registry)
        await until(servers.away)


async def test_a_server_that_knows_our_session_no_more_is_connected_to_anew(lines):
    server = HttpServer()
    try:
        async with linked(Server(name="odd", url=Secret(server.url))) as servers:
            registry = await up(servers)
            server.mode = "forgetful"
            with pytest.raises(ToolBroken) as broken:
                await say(registry)
            assert broken.value.detail == "The server odd gave no result: there is no such session."
            await until(lambda: len(lines(type="mcp_connected")) == 2)
            assert await say(registry) == "hello"
    finally:
        server.close()


async def test_an_answer_over_http_without_end_is_not_read():
    server = HttpServer("huge")
    try:
        async with linked(Server(name="odd", url=Secret(server.url))) as servers:
            registry = await up(servers)
            with pytest.raises(ToolBroken):
                await say(registry)
    finally:
        server.close()


async def test_a_redirect_to_elsewhere_is_not_followed(lines):
    server = HttpServer("redirect")
    try:
        async with linked(Server(name="odd", url=Secret(server.url))) as servers:
            await until(lambda: lines(type="mcp_lost", reason="it refused"))
            assert lines(type="mcp_lost")[0]["error"].startswith(
                "Redirect to http://127.0.0.1:9/mcp not followed"
            )
            assert servers.away() == ["odd"]
    finally:
        server.close()


def alive(pid: int) -> bool:
    """Whether it runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
