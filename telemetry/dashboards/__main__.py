"""Writes parley.json: `python -m telemetry.dashboards`.

Refuses arguments: there is one dashboard, and one place for it.
"""

from pathlib import Path

from telemetry.dashboards.grafana import as_json
from telemetry.dashboards.sections import SECTIONS

if __name__ == "__main__":
    (Path(__file__).parent / "parley.json").write_text(as_json(SECTIONS), encoding="utf-8")
