"""What a running service says, by the names of the samples: routes, events, log lines, commands, problems.

Refuses to make anything up: every value was sent or printed by a service that was asked for it.
"""

import json
import os
import resource
import signal
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import MANY
from tests.faults.upstream import END, Upstream, chunk, head
from tests.faults.upstream_table import ANSWER
from tests.harness import paying
from tests.harness.chat import ask, resume, stream
from tests.harness.mcp_server import PROGRAM
from tests.harness.messages_api import frame
from tests.harness.quick_alarm import install
from tests.harness.redis import Redis
from tests.harness.service import Service
from tests.harness.sql import ask as ask_database
from tests.harness.waiting import wait


def coded(**claims: Any) -> str:
    """A part of a token."""
    return urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


STRANGER = Path(__file__).parents[1] / "walk" / "plugins" / "stranger.py"
ENTRY_POINTS = "[parley.sinks]\nclumsy = stranger:Clumsy\n"
LIMITS = "AUDITEE=1000,GUEST=1"
UNREACHABLE = {
    "AGENT_OIDC_ISSUER": "http://127.0.0.1:1",
    "AGENT_OIDC_CLIENT_ID": "parley",
    "AGENT_PUBLIC_URL": "http://127.0.0.1:3005",
    "AGENT_JWT_ALGORITHM": "EdDSA",
    "AGENT_JWT_JWKS_URL": "http://127.0.0.1:1/jwks",
    "AGENT_AUDIT_CHECKPOINT_WEBHOOK": "http://127.0.0.1:1/checkpoints",
}
TIGHT = {
    "AGENT_TOKENS_PER_MINUTE": "20000",
    "AGENT_RATE_LIMIT_CONCURRENCY": "1",
    "AGENT_AUTH_FAILURES": "1",
}
SMALL = {
    "AGENT_BUDGET_USER_DAY_USD": "0.02",
    "AGENT_MAX_TOKENS": "100",
    "AGENT_MAX_TOOL_ROUNDS": "1",
    "AGENT_RATE_LIMIT_ROLES": LIMITS,
}
"""Money for a dozen turns."""
TOKEN = f"{coded(alg='EdDSA', typ='JWT', kid='a')}.{coded(sub='x', exp=9999999999)}.{'A' * 86}"
"""A token whose issuer's keys cannot be had."""
CHANGES = {
    "settings_changed": "AGENT_RATE_LIMIT_REQUESTS=30\nAGENT_MAX_TOKENS=1000",
    "settings_refused": "AGENT_RATE_LIMIT_REQUESTS=0",
}
"""What `.env` says, by the line that tells what came of it."""
ASKING = "[sim:tools3]"
"""Calls each of three tools that are offered, of which the last needs somebody's yes."""
CHAT, EVENTS = "/api/v1/agent/chat", "/api/v1/audit/events"

Found = dict[str, Any]


def collect(folder: Path) -> Found:
    """Ask two services for everything."""
    found: Found = {}
    plug_in(folder / "site")
    settings = {
        "AGENT_RATE_LIMIT_ROLES": LIMITS,
        "AGENT_MODELS": "claude-sonnet-5-5,no-price",
        "AGENT_SINKS": "audit,logs,metrics,clumsy",
        "AGENT_TOOL_ROLES": "gone=CFO",
        "AGENT_TURN_TIMEOUT_MS": "5000",
        "AGENT_STREAM_RESUME_MS": "60000",
        **paying.install(folder / "site", "calculate,current_time,transfer"),
    }
    (folder / "cwd").mkdir()
    with Service(folder / "cwd", settings) as service:
        keys = callers(service, folder / "cwd")
        found["cli/keys_create"] = keys["GUEST"]
        found |= {f"routes/{name}": value for name, value in routes(service, keys["AUDIT_HEAD"]["key"])}
        found |= {f"events/{name}": value for name, value in events(service)}
        found |= {f"problems/{name}": value for name, value in problems(service, keys["GUEST"]["key"])}
        found |= {f"cli/{name}": value for name, value in commands(service, keys["GUEST"]["id"])}
        found["problems/database_error"] = without_database(service)
        assert service.stop() == 0
        found |= {f"lines/{name}": value for name, value in lines(service)}
    found |= dict(from_far_away(folder / "away"))
    found |= dict(on_a_full_disk(folder / "full"))
    found |= dict(on_a_small_budget(folder / "budget"))
    found |= dict(with_several_workers(folder / "several")) | dict(in_a_burst(folder / "burst"))
    found |= dict(of_a_changed_log(folder / "changed")) | dict(with_a_failing_api(folder / "failing"))
    return found | dict(with_mcp_servers(folder / "mcp"))


def from_far_away(cwd: Path) -> Iterator[tuple[str, Any]]:
    """Lines about what cannot be reached, and about a journal that is not ours to read."""
    strange = cwd / "var" / "journal" / ("f" * 32)
    strange.mkdir(parents=True)
    (strange / "000001.seg").write_bytes(b"no segment" * 100)
    with Service(cwd, UNREACHABLE) as service:
        ask(service, "Hello", key=TOKEN)
        requested(service, "GET", "/console/oidc/start")
        unreached = ("signing_keys_unfetched", "sign_in_failed", "checkpoint_untold", "journal_strange")
        for kind in unreached:
            yield f"lines/{kind}", service.wait_for_line(type=kind)


def on_a_full_disk(cwd: Path) -> Iterator[tuple[str, Any]]:
    """What is said while no file may grow, and once they may again."""
    cwd.mkdir()
    with Service(cwd, TIGHT) as service:
        yield "problems/tokens_limited", ask(service, "Hello", maxTokens=4_000).json()
        with stream(service, "[sim:slow:1000] Hello", maxTokens=100):
            yield "problems/concurrency_limited", ask(service, "Hello", maxTokens=100).json()
        service.wait_for_rows(outcome="client_gone")
        _, most = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (1, most))
        yield "problems/audit_unwritable", ask(service, "Hello", maxTokens=100).json()
        yield "lines/journal_unsafe", service.wait_for_line(type="journal_unsafe")
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (most, most))
        yield "lines/journal_mended", service.wait_for_line(type="journal_mended")
        assert ask(service, "Hello", key="wrong").status_code == 401
        yield "lines/address_held_off", service.wait_for_line(type="address_held_off")


def on_a_small_budget(cwd: Path) -> Iterator[tuple[str, Any]]:
    """What is said once money is spent, and what a command says of a ledger that somebody changed."""
    cwd.mkdir()
    with Service(cwd, SMALL) as service:
        wait(lambda: ask(service, "Hello").status_code == 402, seen=service.said)
        yield "problems/over_budget", ask(service, "Hello").json()
        yield "lines/budget_threshold", service.wait_for_line(type="budget_threshold")
        assert service.stop() == 0
        ask_database(f"sqlite:///{cwd}/var/parley.db", "UPDATE budget_ledger SET spent = spent + 1")
        yield "cli/limits_rebuild", told(service, "limits", "rebuild")


def of_a_changed_log(cwd: Path) -> Iterator[tuple[str, Any]]:
    """The line about an event that somebody changed."""
    cwd.mkdir()
    with Service(cwd) as service:
        ask(service, "Hello")
        head = made(service, "AUDIT_HEAD")["key"]
        url = f"sqlite:///{cwd}/var/parley.db"
        ask_database(url, "DROP TRIGGER audit_event_unchanged")
        ask_database(url, "UPDATE audit_event SET role = 'CEO' WHERE log_index = 0")
        got(service, "/api/v1/audit/verify", head)
        yield "lines/audit_invalid", service.wait_for_line(type="audit_invalid")


def in_a_burst(cwd: Path) -> Iterator[tuple[str, Any]]:
    """What is said of a spike of errors, by an alarm that has not minutes but seconds."""
    settings = install(cwd / "site") | {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000"}
    with Service(cwd, settings) as service, ThreadPoolExecutor(14) as pool:
        list(pool.map(lambda _: ask(service, "[sim:500]"), range(14)))
        for kind in ("alert_firing", "alert_resolved"):
            yield f"lines/{kind}", service.wait_for_line(type=kind)


def with_a_failing_api(cwd: Path) -> Iterator[tuple[str, Any]]:
    """Lines about a model that is left alone, and asked again."""
    cwd.mkdir()
    down = (head("529 X", retry_after="0", content_length="0"),)
    answer = (head(), *(chunk(frame(each)) for each in ANSWER), END)
    with Upstream({"back": (*[down] * 5, answer)}) as api, Service(cwd, api.settings | MANY) as service:
        for kind in ("model_breaker_opened", "model_breaker_closed"):
            wait(lambda kind=kind: ask(service, "fault:back#asked") and service.lines(type=kind))
            yield f"lines/{kind}", service.lines(type=kind)[0]


def with_several_workers(cwd: Path) -> Iterator[tuple[str, Any]]:
    """Lines about a store that comes, a worker that goes, and settings that are read again."""
    cwd.mkdir()
    with Redis() as redis:
        redis.stop()
        store = {"AGENT_RATE_LIMIT_STORE": redis.url()}
        with Service(cwd, store, arguments=("--workers", "2")) as service:
            yield "lines/limits_degraded", service.wait_for_line(type="limits_degraded")
            redis.start()
            yield "lines/limits_restored", service.wait_for_line(type="limits_restored")
            for kind, text in CHANGES.items():
                (cwd / ".env").write_text(text)
                os.kill(service.pid, signal.SIGHUP)
                yield f"lines/{kind}", service.wait_for_line(type=kind)
            os.kill(service.lines(type="service_started")[0]["pid"], signal.SIGKILL)
            yield "lines/worker_ended", service.wait_for_line(type="worker_ended")


def with_mcp_servers(cwd: Path) -> Iterator[tuple[str, Any]]:
    """The lines about MCP servers: tools that change, tools that are none, and a server that is not there."""
    cwd.mkdir()
    servers = {name: {"command": sys.executable, "args": [PROGRAM, name]} for name in ("changing", "bombs")}
    file = cwd / "servers.json"
    file.write_text(json.dumps({"mcpServers": servers | {"gone": {"command": "no-such-program"}}}))
    with Service(cwd, {"AGENT_MCP_SERVERS": str(file), "LOG_LEVEL": "debug"}) as service:
        for kind in ("mcp_connected", "mcp_lost", "mcp_said", "mcp_tools_changed", "mcp_tools_refused"):
            yield f"lines/{kind}", service.wait_for_line(type=kind)


def plug_in(site: Path) -> None:
    """Install a sink that fails, as far as an interpreter looks."""
    info = site / "stranger-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "stranger.py").write_bytes(STRANGER.read_bytes())


def made(service: Service, role: str) -> Found:
    """A new key, as the command told it."""
    return told(service, "keys", "create", "--user", role.lower(), "--role", role)


def callers(service: Service, cwd: Path) -> Found:
    """Keys by role, all used before: a minute that passes, or does not, changes no sample."""
    keys = {role: made(service, role) for role in ("AUDIT_HEAD", "GUEST")}
    ask_database(f"sqlite:///{cwd}/var/parley.db", "UPDATE api_key SET last_used_at = created_at")
    return keys


def told(service: Service, *arguments: str) -> Any:
    """What a command prints as JSON."""
    done = service.cli(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def got(service: Service, path: str, key: str | None = None, **parameters: Any) -> Any:
    """What a route answers."""
    response = requested(service, "GET", path, key=key, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def requested(
    service: Service, method: str, path: str, *, key: str | None = None, headers: Any = None, **more: Any
) -> httpx.Response:
    """One request, with the service's own key unless it is given another; empty is none."""
    key = service.api_key if key is None else key
    bearer = {"authorization": f"Bearer {key}"} if key else {}
    url = f"{service.url}{path}"
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.request(method, url, headers=bearer | dict(headers or {}), **more)


def routes(service: Service, head: str) -> Iterator[tuple[str, Any]]:
    """Every route of the document, but for the document itself."""
    answer = ask(service, "What is 12*7?").json()
    (row,) = service.wait_for_rows(entityId=answer["id"])
    one = f"/api/v1/conversations/{answer['conversationId']}"
    of_turn = {"traceId": answer["traceId"]}
    yield from (("chat", answer), ("resumeChat", resumed(service)))
    yield "listConversations", got(service, "/api/v1/conversations")
    yield "getConversation", got(service, one)
    yield "listAuditEvents", got(service, EVENTS, head, **of_turn)
    yield "getAuditEvent", got(service, f"{EVENTS}/{row['id']}", head)
    yield from proofs(service, row["id"], head)
    exported = requested(service, "GET", "/api/v1/audit/export", key=head, params=of_turn)
    yield "exportAuditEvents", [json.loads(line) for line in exported.text.splitlines()]
    yield from (("getUsage", got(service, "/api/v1/usage")), ("getLimits", got(service, "/api/v1/limits")))
    yield "getLimitsOf", got(service, "/api/v1/limits/dev", head)
    yield "resetLimitsOf", requested(service, "DELETE", "/api/v1/limits/dev", key=head).json()
    yield from (("getOperations", watched(service, head)), ("getLiveness", got(service, "/health/live", "")))
    yield "getReadiness", got(service, "/health/ready", "")
    yield from (*administered(service, head), *decided(service))
    yield from (*rated(service, answer["id"], head), *removing(service, head, one))


def shortened(value: Any) -> Any:
    """The same with less of each long list: its first and its last two."""
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    long = isinstance(value, list) and len(value) > 10
    return [value[0], *value[-2:]] if long else value


def watched(service: Service, head: str) -> Any:
    """The board, once the log was verified and everything is in it."""

    def settled() -> Any:
        told = got(service, "/api/v1/operations", head, period="7d")
        audit = told["audit"]
        if audit["verified"] and audit["checkpoint"] and not audit["waiting"]:
            return shortened(told)
        return None

    return wait(settled, seen=service.said)


def administered(service: Service, head: str) -> Iterator[tuple[str, Any]]:
    """The routes about who is let in, and by what rules."""
    body = {"user": "kim", "role": "AUDITOR", "scopes": ["audit:content"], "expires": "90d"}
    made = requested(service, "POST", "/api/v1/keys", key=head, json=body).json()
    yield "makeKey", made
    yield "listKeys", got(service, "/api/v1/keys", head)
    yield from endings(service, head, f"/api/v1/keys/{made['id']}")
    with httpx.Client(trust_env=False) as browser:
        assert browser.get(service.console).status_code == 303
        listed = browser.get(f"{service.url}/api/v1/sessions").json()
        yield "listSessions", listed
        ended = browser.delete(f"{service.url}/api/v1/sessions/{listed['sessions'][0]['id']}")
        assert (ended.status_code, ended.content) == (204, b"")
    yield "endSession", None
    yield "endSessions", requested(service, "DELETE", "/api/v1/sessions", key=head).json()
    yield "listSettings", got(service, "/api/v1/settings", head)
    yield "listRoles", got(service, "/api/v1/roles", head)


def decided(service: Service) -> Iterator[tuple[str, Any]]:
    """The routes by which a tool's call is approved."""
    with stream(service, f"{ASKING} Pay") as answer:
        turn, asked = answer.until("turn").data, answer.until("approval").data
        yield "listApprovals", got(service, "/api/v1/agent/approvals")
        path = f"/api/v1/agent/turns/{turn['id']}/approvals/{asked['id']}"
        verdict = {"decision": "approve", "reason": "The invoice is right."}
        yield "decideApproval", requested(service, "POST", path, json=verdict).json()
        answer.rest()


def rated(service: Service, turn: str, head: str) -> Iterator[tuple[str, Any]]:
    """The routes by which a caller says what a turn was worth."""
    path = f"/api/v1/agent/turns/{turn}/feedback"
    said = {"rating": "up", "comment": "Exactly what I needed."}
    yield "giveFeedback", requested(service, "PUT", path, json=said).json()
    yield "getFeedback", got(service, path)
    yield "countFeedback", got(service, "/api/v1/feedback", head)
    assert requested(service, "DELETE", path).status_code == 204
    yield "withdrawFeedback", None


def denied(service: Service) -> Iterator[tuple[str, Any]]:
    """The events of a tool's call that is not approved."""
    with stream(service, f"{ASKING} Pay") as answer:
        turn, asked = answer.until("turn").data, answer.until("approval").data
        yield "approval", asked
        path = f"/api/v1/agent/turns/{turn['id']}/approvals/{asked['id']}"
        requested(service, "POST", path, json={"decision": "deny"})
        (last,) = [each for each in answer.rest() if each.event == "tool" and each.data["status"] == "denied"]
        yield "tool_denied", last.data


def resumed(service: Service) -> Found:
    """The rest of a stream, by what its events are called."""
    with stream(service, "Hello") as first:
        (began, *_) = first.rest()
    with resume(service, began.data["id"], after=began.id) as rest:
        return {event.event: event.data for event in rest.rest()}


def removing(service: Service, head: str, conversation: str) -> Iterator[tuple[str, Any]]:
    """The routes after which something is another, or gone."""
    yield "renameConversation", requested(service, "PATCH", conversation, json={"title": "Sums"}).json()
    deleted = requested(service, "DELETE", conversation)
    assert (deleted.status_code, deleted.content) == (204, b"")
    yield "deleteConversation", None
    made(service, "AUDITEE")
    twice = {"subject": "auditee", "confirm": "auditee"}
    erased = requested(service, "POST", "/api/v1/audit/erasures", key=head, json=twice)
    assert erased.status_code == 200, erased.text
    yield "eraseSubject", erased.json()


def proofs(service: Service, event: str, head: str) -> Iterator[tuple[str, Any]]:
    """The routes by which the log is proved; one that has a single event yet has no path to prove it by."""
    wait(lambda: told(service, "audit", "stats")["log"]["size"] >= 3, seen=service.said)
    requested(service, "GET", "/api/v1/audit/export", key=head)  # has a checkpoint made over all of them
    yield "proveAuditEvent", got(service, f"{EVENTS}/{event}/proof", head)
    yield "verifyAudit", got(service, "/api/v1/audit/verify", head)
    yield "getAuditKey", got(service, "/api/v1/audit/key", head)


def events(service: Service) -> Iterator[tuple[str, Any]]:
    """Every event of a stream; of tools one for each status there is."""
    for message in ("What is 12*7?", "What is 1/0?", "[sim:tool][sim:cut]"):
        with stream(service, message, thinking=True) as answer:
            for event in answer.rest():
                status = f"_{event.data['status']}" if event.event == "tool" else ""
                yield f"{event.event}{status}", event.data
    yield from denied(service)


def problems(service: Service, guest: str) -> Iterator[tuple[str, Any]]:
    """A problem of every code that a caller can bring about."""
    cookie = {"cookie": "session=x", "sec-fetch-site": "cross-site"}
    text = {"content-type": "text/plain"}
    requests: dict[str, Any] = {
        "unauthenticated": ("POST", CHAT, {"key": "", "json": {"message": "Hello"}}),
        "cross_site": ("GET", "/api/v1/usage", {"key": "", "headers": cookie}),
        "forbidden": ("GET", EVENTS, {}),
        "invalid_request": ("POST", CHAT, {"json": {"message": "", "size": 1}}),
        "not_found": ("GET", "/nowhere", {}),
        "method_not_allowed": ("GET", CHAT, {}),
        "too_large": ("POST", CHAT, {"json": {"message": "x" * (1 << 20)}}),
        "unsupported_media_type": ("POST", CHAT, {"content": b"{}", "headers": text}),
    }
    for code, (method, path, more) in requests.items():
        yield code, requested(service, method, path, **more).json()
    markers = {
        "upstream_rate_limited": "429",
        "upstream_error": "500",
        "upstream_overloaded": "529",
        "turn_timeout": "stall",
    }
    for code, marker in markers.items():
        yield code, ask(service, f"[sim:{marker}]").json()
    ask(service, "Hello", key=guest)
    yield "rate_limited", ask(service, "Hello", key=guest).json()
    yield from repeated(service)


def repeated(service: Service) -> Iterator[tuple[str, Any]]:
    """What a key refuses: another body, and a turn that still runs."""
    once = {"Idempotency-Key": "once"}
    ask(service, "Hello", headers=once)
    yield "idempotency_mismatch", ask(service, "Another", headers=once).json()
    running = {"Idempotency-Key": "running"}
    with stream(service, "Hello [sim:slow:100]", headers=running) as answer:
        answer.until("turn")
        yield "conflict", ask(service, "Hello [sim:slow:100]", headers=running, stream=True).json()


def endings(service: Service, head: str, path: str) -> Iterator[tuple[str, Any]]:
    """The routes that end keys and tokens."""
    rotated = requested(service, "POST", f"{path}/rotate", key=head, json={"overlap": "1h"})
    yield "rotateKey", rotated.json()
    assert requested(service, "DELETE", path, key=head).status_code == 204
    yield "revokeKey", None
    revoked = requested(service, "POST", "/api/v1/tokens/revoke", key=head, json={"user": "kim"})
    yield "revokeTokens", revoked.json()


def let_in(service: Service, key_id: str) -> Iterator[tuple[str, Any]]:
    """Every command about keys and tokens that prints JSON."""
    yield "keys_list", told(service, "keys", "list")
    yield "keys_rotate", told(service, "keys", "rotate", key_id)
    yield "keys_revoke", told(service, "keys", "revoke", key_id)
    yield "tokens_revoke", told(service, "tokens", "revoke", "--user", "kim")


def commands(service: Service, key_id: str) -> Iterator[tuple[str, Any]]:
    """Every command that prints JSON."""
    (row,) = service.rows()[:1]
    yield "settings", told(service, "settings")
    yield "check", told(service, "check")
    yield "tools", told(service, "tools")
    yield from let_in(service, key_id)
    yield "audit_list", told(service, "audit", "list", "--trace-id", row["traceId"])
    yield "audit_show", told(service, "audit", "show", row["id"])
    yield "audit_prove", told(service, "audit", "prove", row["id"])
    yield "audit_verify", told(service, "audit", "verify")
    yield "audit_key", told(service, "audit", "key")
    yield "audit_stats", told(service, "audit", "stats")
    yield "trace", told(service, "trace", row["traceId"])
    exported = service.cli("audit", "export", "--trace-id", row["traceId"])
    yield "audit_export", [json.loads(line) for line in exported.stdout.splitlines()]
    yield "usage", told(service, "usage")
    yield from limiting(service)
    yield from keeping(service)


def limiting(service: Service) -> Iterator[tuple[str, Any]]:
    """Commands about limits."""
    yield "limits_show", told(service, "limits", "show")
    yield "limits_show_user", told(service, "limits", "show", "dev")
    yield "limits_reset", told(service, "limits", "reset", "dev")
    yield "limits_suggest", told(service, "limits", "suggest")


def keeping(service: Service) -> Iterator[tuple[str, Any]]:
    """Commands about what is kept, and for how long."""
    subject = ("--subject", "held")
    yield "audit_hold", told(service, "audit", "hold", *subject, "--reason", "case 7")
    yield "audit_holds", told(service, "audit", "holds")
    yield "audit_release", told(service, "audit", "release", *subject)
    yield "audit_erase", told(service, "audit", "erase", *subject, "--yes")
    yield "audit_scrub", told(service, "audit", "scrub")
    yield "audit_retain", told(service, "audit", "retain", "--days", "36500", "--dry-run")
    yield "audit_rotate-keys", told(service, "audit", "rotate-keys")


def without_database(service: Service) -> Any:
    """A problem whose fault is ours; the rows must be written first, and a key held while it happens."""
    settled = {"Idempotency-Key": "unsettled"}
    with stream(service, "Hello [sim:slow:200]", headers=settled) as answer:
        answer.until("text")
        file = service.cwd / "var" / "parley.db"
        file.rename(file.with_name("elsewhere.db"))
        problem = requested(service, "GET", "/api/v1/usage").json()
        answer.rest()
    wait(lambda: service.lines(type="settle_failed"), seen=service.said)
    file.with_name("elsewhere.db").rename(file)
    return problem


def lines(service: Service) -> Iterator[tuple[str, Any]]:
    """The first line of every type."""
    seen: set[str] = set()
    for line in service.lines():
        if line["type"] not in seen:
            seen.add(line["type"])
            yield line["type"], line
