"""Grafana's dashboard, made from code that knows which metrics there are.

Refuses to be changed in Grafana: `parley.json` is written by `python -m telemetry.dashboards` alone.
"""
