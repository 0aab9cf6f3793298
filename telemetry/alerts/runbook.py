"""Groups -> RUNBOOK.md: a section for each alert, with the query, the search and the command to begin with.

Refuses to repeat a rule by hand: what it fires on is printed from the rule itself.
"""

from collections.abc import Iterable, Iterator
from textwrap import fill

from telemetry.alerts.rule import Alert, Group
from telemetry.alerts.scale import scaled

HEAD = """\
# Runbook
Written by `python -m telemetry.alerts`: change it there. A section for each alert of [rules.yml](rules.yml).

`page` wakes somebody, `ticket` waits for the day, `info` is only shown. Queries are for Prometheus
(http://127.0.0.1:9090/graph). Tags are for Jaeger's search, service `parley`; where its page is not at hand:
```sh
curl -sG http://127.0.0.1:16686/api/traces --data-urlencode service=parley --data-urlencode limit=20 \\
     --data-urlencode 'tags={"parley.error.category":"network"}'
parley trace TRACE_ID --jaeger http://127.0.0.1:16686
```
Without Prometheus the service itself tells of spikes, of the audit and of budgets, by lines `alert_firing`
and by AGENT_ALERT_WEBHOOK, under the same names. Skip the queries then, and begin with the commands.
"""
WIDTH = 118


def as_markdown(groups: Iterable[Group]) -> str:
    """The whole page."""
    named: dict[str, list[Alert]] = {}
    for group in groups:
        for alert in group.alerts:
            named.setdefault(alert.name, []).append(alert)
    contents = " · ".join(f"[{name}](#{name.lower()})" for name in named)
    sections = ("\n".join(_section(alerts)) for alerts in named.values())
    return f"{HEAD}\n{contents}\n\n" + "\n".join(sections)


def _section(alerts: list[Alert]) -> Iterator[str]:
    advice = alerts[0].advice
    yield f"## {alerts[0].name}"
    yield fill(f"**What it means.** {advice.means}", WIDTH, break_on_hyphens=False)
    yield "\n**It fires on**"
    yield "```promql"
    yield from map(_fires_on, alerts)
    yield "```"
    yield "**Look first at**"
    yield f"```promql\n{scaled(advice.look, 1)}\n```"
    if advice.trace:
        yield f"Jaeger, tags: `{advice.trace}`"
    if advice.run:
        yield f"```\n{advice.run}\n```"
    yield fill(f"**What to do.** {advice.do}", WIDTH, break_on_hyphens=False)
    yield ""


def _fires_on(alert: Alert) -> str:
    since = f", for {alert.wait}" if alert.wait else ""
    return f"# {alert.severity}{since}\n{scaled(alert.expr, 1)}"
