"""What somebody has to look at, and what to do then: rules for Prometheus and their runbook, generated.

Refuses a rule without advice; `rules.yml` and `RUNBOOK.md` are written by `python -m telemetry.alerts` alone.
"""
