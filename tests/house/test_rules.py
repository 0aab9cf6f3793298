"""Rules of our own, as a scanner for code has them: what is never written, and where secrets are read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for floor in ("config", "telemetry", "service") for path in (ROOT / floor).rglob("*.py")
)
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}

NEVER_CALLED = {
    "eval": "runs what a text says",
    "exec": "runs what a text says",
    "__import__": "imports what a text says",
    "os.system": "a shell",
    "os.popen": "a shell",
    "hashlib.md5": "broken",
    "ssl._create_unverified_context": "believes anybody",
    "tempfile.mktemp": "somebody else may be quicker",
    "logging.exception": "a stack beside the redacting line",
    "traceback.print_exc": "a stack past the redacting line",
    "asyncio.create_subprocess_shell": "a shell",
}
NEVER_IMPORTED = {"pickle", "marshal", "shelve", "dill", "yaml", "xml", "telnetlib", "ftplib"}
"""They run, or open, what they read."""
NEVER_GIVEN = {"shell": True, "verify": False, "check_hostname": False}
"""Arguments with these values."""
SECRET = re.compile(r"(^|_)(digest|signature|mac|secret|pepper|token|password)$")
PLAIN = {
    ("service/store/idempotency.py", "body_digest"): "of a request's body, which its sender knows",
    ("service/web/idempotency.py", "body_digest"): "the same",
    ("service/web/console/shelf.py", "digest"): "of files that everybody may read",
    ("service/simulator/thinking.py", "signature"): "of the simulator, which guards nothing",
}
"""Compared by `==` for a reason."""
REASONED = re.compile(r"#\s*(?:noqa: [A-Z0-9, ]+|pyright: ignore\[[A-Za-z, ]+\])(?P<why>.*)")


def nodes(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for path, tree in TREES.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, kind))


def test_nothing_is_called_that_never_should_be():
    found = [(path, ast.unparse(node.func)) for path, node in nodes(ast.Call)]
    assert [(path, name, NEVER_CALLED[name]) for path, name in found if name in NEVER_CALLED] == []


def test_nothing_is_imported_that_runs_what_it_reads():
    names = [(path, alias.name) for path, node in nodes(ast.Import) for alias in node.names]
    names += [(path, node.module or "") for path, node in nodes(ast.ImportFrom)]
    assert [(path, name) for path, name in names if name.split(".")[0] in NEVER_IMPORTED] == []


def test_no_check_is_switched_off():
    found = [
        (path, keyword.arg)
        for path, node in nodes(ast.Call)
        for keyword in node.keywords
        if isinstance(keyword.value, ast.Constant) and keyword.arg in NEVER_GIVEN
        if keyword.value.value is NEVER_GIVEN[keyword.arg]
    ]
    assert found == []


def test_secrets_are_compared_in_constant_time():
    found = {
        (path, name)
        for path, node in nodes(ast.Compare)
        if any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops)
        for name in map(named, [node.left, *node.comparators])
        if SECRET.search(name)
    }
    assert found - set(PLAIN) == set()


def named(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


REVEALING = {
    "telemetry/alarms/message.py": "signs what it posts",
    "service/agent/upstream/anthropic.py": "the key of the model's API",
    "service/audit/signing.py": "the key of checkpoints",
    "service/auth/derive.py": "derives all others",
    "service/auth/oidc.py": "says at a sign-in's provider who asks",
    "service/auth/trust.py": "the key that tokens are verified by",
    "service/cli/check.py": "what the exporters are told, to try it",
    "service/cli/mcp/asking.py": "asks a service by its key",
    "service/cli/state.py": "what the exporters are told by .env",
    "service/tools/mcp/file.py": "what servers are given",
    "service/tools/mcp/http.py": "the same",
    "service/tools/mcp/stdio.py": "the same",
    "service/tools/mcp/telling.py": "an address, told without what is secret in it",
    "config/secret.py": "compares",
}
"""Where a secret may be read, and what for; web, simulator, sinks and spans have none."""


def test_secrets_are_read_where_they_are_used_and_nowhere_else():
    found = {
        path
        for path, node in nodes(ast.Call)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "reveal"
    }
    assert found == set(REVEALING)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_whatever_is_switched_off_for_a_line_has_a_reason(path):
    lines = [found for line in path.read_text().splitlines() if (found := REASONED.search(line))]
    assert [found.group() for found in lines if len(found["why"].strip(" -")) < 2] == []
