"""The names in Prometheus's rules are what the service, the collector and Prometheus emit."""

import re

from telemetry import names
from tests.stack.written import ROOT, STACK, read

KNOWN = {value.replace(".", "_") for value in vars(names).values() if isinstance(value, str)}
SUFFIX = re.compile(r"(_(seconds|bytes|ratio))?(_(total|bucket|sum|count))?$")


def test_every_rule_file_is_there():
    for name in read(STACK / "prometheus.yml")["rule_files"]:
        assert (STACK / name).resolve().is_file()


def test_no_rule_asks_for_what_is_not_emitted():
    rules = [rule for group in read(ROOT / "telemetry/alerts/rules.yml")["groups"] for rule in group["rules"]]
    asked = {
        name for rule in rules for name in re.findall(r"\b(?:parley|gen_ai)_[a-z0-9_]+\b(?!:)", rule["expr"])
    }
    assert asked
    assert {name for name in asked if name not in KNOWN and SUFFIX.sub("", name) not in KNOWN} == set()
