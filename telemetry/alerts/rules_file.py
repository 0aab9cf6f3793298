"""Groups -> Prometheus's rules file, for 2.42 and newer.

Refuses YAML's liberties: every scalar is quoted or a block, every key stands on its own line.
"""

from collections.abc import Iterable, Iterator
from textwrap import dedent, indent

from telemetry.alerts.rule import Alert, Group, Recording
from telemetry.alerts.scale import scaled

HEAD = "# Written by `python -m telemetry.alerts`: change the rules there. What to do about each: RUNBOOK.md."


def as_yaml(groups: Iterable[Group], scale: float = 1) -> str:
    """The whole file; `scale` 60 turns hours into minutes."""
    parts = ("\n".join(_group(group, scale)) for group in groups)
    return f"{HEAD}\ngroups:\n" + "\n\n".join(parts) + "\n"


def _group(group: Group, scale: float) -> Iterator[str]:
    yield f"  - name: {group.name}"
    yield f"    interval: {scaled(group.interval, scale)}"
    yield "    rules:"
    for rule in group.rules:
        lines = _recording(rule, scale) if isinstance(rule, Recording) else _alert(rule, scale)
        yield from (indent(line, " " * 6) for line in lines)


def _recording(rule: Recording, scale: float) -> Iterator[str]:
    yield f"- record: {rule.name}"
    yield _block(rule.expr, scale)


def _alert(rule: Alert, scale: float) -> Iterator[str]:
    yield f"- alert: {rule.name}"
    yield _block(rule.expr, scale)
    if rule.wait:
        yield f"  for: {scaled(rule.wait, scale)}"
    if rule.keep:
        yield f"  keep_firing_for: {scaled(rule.keep, scale)}"
    labels = {"severity": rule.severity.value, **rule.labels}
    yield f"  labels: {{{', '.join(f'{key}: {_quoted(value)}' for key, value in labels.items())}}}"
    yield "  annotations:"
    yield f"    summary: {_quoted(scaled(rule.summary, scale))}"
    yield f"    runbook: {_quoted(rule.runbook)}"


def _block(expr: str, scale: float) -> str:
    return "  expr: |-\n" + indent(scaled(dedent(expr).strip(), scale), "    ")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
