"""The bill of materials is whole, the same each time, and has no licence that a deployer must ask about."""

import json
import re
import tomllib

from tests.packaging.archive import ROOT
from tests.packaging.sbom import UNKNOWN, document, licence, packages

FREE = {
    *("MIT", "MIT-0", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "LicenseRef-BSD", "PSF-2.0"),
    *("Unlicense", "MPL-2.0", "CNRI-Python"),
}
"""They ask for nothing but their own text; MPL for changes to its own files."""
HASH = re.compile(r"[0-9a-f]{64}")


def test_every_locked_package_is_in_it_with_hashes():
    told = document()
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = [line.partition("==")[0] for line in lines if re.match(r"[a-z0-9-]+==", line)]
    assert [each["name"] for each in told["components"]] == locked
    for each in told["components"]:
        hashes = each["externalReferences"][0]["hashes"]
        assert hashes
        assert all(HASH.fullmatch(one["content"]) for one in hashes)
    assert told["bomFormat"] == "CycloneDX"


def test_every_package_that_is_named_has_its_reason():
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    said = (
        (ROOT / "DECISIONS.md")
        .read_text()
        .partition("## Dependencies and why each is there")[2]
        .partition("**")[0]
    )
    reasons = {name.removeprefix("opentelemetry") for name in re.findall(r"[a-z0-9-]{3,}", said)}
    packages = {re.split(r"[^a-z0-9-]", each)[0].removeprefix("opentelemetry") for each in named}
    assert packages - reasons == set()
    assert len(packages) > 15


def test_two_are_the_same():
    assert json.dumps(document()) == json.dumps(document())


def test_what_needs_what_leads_nowhere_else():
    told = document()
    known = {each["bom-ref"] for each in told["components"]}
    assert {each["ref"] for each in told["dependencies"]} == known
    assert {need for each in told["dependencies"] for need in each["dependsOn"]} <= known
    assert any(each["dependsOn"] for each in told["dependencies"])


def test_every_licence_is_known_and_free():
    found = {each.name: licence(each.name) for each in packages()}
    elsewhere = {each.name for each in packages() if each.marker}
    assert {name for name, said in found.items() if said == UNKNOWN} <= elsewhere
    words = {word for said in found.values() for word in re.split(r" (?:OR|AND|WITH) ", said.strip("()"))}
    assert words - {UNKNOWN} <= FREE
