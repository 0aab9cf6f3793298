"""Sections -> Grafana's JSON, as provisioning reads it.

Refuses numbers that change by themselves: ids and places follow from the order, and a diff says what changed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from telemetry.dashboards.panel import Kind, Panel, Query, Section, Traces

WIDTH, HEIGHT = 24, 8
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
JAEGER = {"type": "jaeger", "uid": "${jaeger}"}


def as_json(sections: Sequence[Section]) -> str:
    """The dashboard's file."""
    page = {
        "uid": "parley",
        "title": "Parley",
        "description": "Written by `python -m telemetry.dashboards`: change it there.",
        "tags": ["parley"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "graphTooltip": 1,
        "templating": {"list": [_choice("prometheus"), _choice("jaeger")]},
        "annotations": {"list": [_alerts()]},
        "panels": list(_panels(sections)),
    }
    return msgspec.json.format(msgspec.json.encode(page), indent=1).decode() + "\n"


def _choice(kind: str) -> dict[str, Any]:
    """Which data source; the one that our provisioning makes, unless there is another."""
    current = {"text": kind.title(), "value": kind}
    return {"name": kind, "type": "datasource", "query": kind, "current": current, "hide": 0}


def _alerts() -> dict[str, Any]:
    """Where an alert stands, a mark across all panels."""
    return {
        "name": "Alerts",
        "datasource": PROMETHEUS,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing", severity=~"page|ticket"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}} {{category}} {{instance}}",
    }


def _panels(sections: Sequence[Section]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for section in sections:
        number += 1
        yield {"id": number, "type": "row", "title": section.title, "collapsed": False, "panels": []} | {
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}
        }
        for panel, left, line in _placed(section):
            number += 1
            place = {"x": left, "y": top + 1 + line * HEIGHT, "w": panel.width, "h": HEIGHT}
            drawn = _drawn(panel) if isinstance(panel, Panel) else _found(panel)
            yield {"id": number, "title": panel.title, "description": panel.said, "gridPos": place} | drawn
        top += 1 + HEIGHT * (1 + max(line for _, _, line in _placed(section)))


def _placed(section: Section) -> Iterator[tuple[Panel | Traces, int, int]]:
    """Each panel with its left edge and its line."""
    left, line = 0, 0
    for panel in section.panels:
        if left + panel.width > WIDTH:
            left, line = 0, line + 1
        yield panel, left, line
        left += panel.width


def _drawn(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alarm is not None:
        steps.append({"color": "red", "value": panel.alarm})
    custom: dict[str, Any] = {}
    if panel.kind is Kind.LINES:
        custom = {
            "fillOpacity": 10,
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "off" if panel.alarm is None else "dashed"},
        }
    defaults = {
        "unit": panel.unit,
        "min": None,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": custom,
    }
    return {
        "type": panel.kind.value,
        "datasource": PROMETHEUS,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [_asked(query, chr(ord("A") + place)) for place, query in enumerate(panel.queries)],
    }


def _asked(query: Query, letter: str) -> dict[str, Any]:
    return {
        "refId": letter,
        "datasource": PROMETHEUS,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "exemplar": query.exemplars,
        "range": True,
    }


def _found(panel: Traces) -> dict[str, Any]:
    target = {
        "refId": "A",
        "datasource": JAEGER,
        "queryType": "search",
        "service": "parley",
        "tags": panel.tags,
        "limit": 20,
    }
    return {"type": "table", "datasource": JAEGER, "targets": [target]}
