"""Writes rules.yml and RUNBOOK.md: `python -m telemetry.alerts [--scale 60 --into DIR]`.

Refuses to put shortened rules where the shipped ones are.
"""

import argparse
from pathlib import Path

from telemetry.alerts.groups import GROUPS
from telemetry.alerts.rules_file import as_yaml
from telemetry.alerts.runbook import as_markdown

HERE = Path(__file__).parent


def write(into: Path, scale: float) -> None:
    """Both files; the folder is made."""
    into.mkdir(parents=True, exist_ok=True)
    (into / "rules.yml").write_text(as_yaml(GROUPS, scale), encoding="utf-8")
    (into / "RUNBOOK.md").write_text(as_markdown(GROUPS), encoding="utf-8")


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(prog="python -m telemetry.alerts", description="write the alert rules")
    parser.add_argument("--scale", type=float, default=1, help="divide every duration by this")
    parser.add_argument("--into", type=Path, default=HERE, help="the folder that gets them")
    args = parser.parse_args()
    if args.scale <= 0 or (args.scale != 1 and args.into.resolve() == HERE):
        parser.error("a scale is above 0, and any but 1 needs --into another folder")
    write(args.into, args.scale)


if __name__ == "__main__":
    main()
