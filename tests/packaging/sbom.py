"""What the wheel needs, as a CycloneDX 1.6 document, and the licences of it all: `make sbom`, into dist/.

Refuses to look anything up: versions and hashes are the lock's, licences are what the installed packages say.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct

ROOT = Path(__file__).parents[2]
OUT = ROOT / "dist"
LOCKED = re.compile(
    r"^([a-z0-9-]+)==(\S+?)(?: ; (.+))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
HASH = re.compile(r"sha256:([0-9a-f]{64})")
CLASSIFIERS = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "BSD License": "LicenseRef-BSD",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""What the older way of saying it comes to."""
WORDS = {
    "MIT License": "MIT",
    "BSD": "LicenseRef-BSD",
    "BSD License": "LicenseRef-BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
}
"""The oldest way. Which BSD licence it is, some do not say."""
SPDX = {"MIT", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "ISC", "MPL-2.0", "PSF-2.0"}
"""Said in the oldest way, in the newest words."""
UNKNOWN = "NOASSERTION"


class Package(Struct, frozen=True):
    """One locked package; `hashes` are of its archives, `marker` says where it is installed at all."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its name among all packages."""
        return f"pkg:pypi/{self.name}@{self.version}"


def packages() -> list[Package]:
    """What the lock has, by name."""
    found = LOCKED.findall((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    return [
        Package(name, version, marker, tuple(HASH.findall(told))) for name, version, marker, told in found
    ]


def licence(name: str) -> str:
    """The licence of a package by SPDX, as it says itself; NOASSERTION where it says none here."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return UNKNOWN
    if expression := said.get("License-Expression"):
        return expression
    told = [each.rpartition(" :: ")[2] for each in said.get_all("Classifier", []) if "License ::" in each]
    known = [CLASSIFIERS[each] for each in told if each in CLASSIFIERS]
    word = (said.get("License") or "").strip().partition("\n")[0]
    return " OR ".join(known) or WORDS.get(word) or (word if word in SPDX else UNKNOWN)


def graph(named: Mapping[str, Package]) -> Iterator[dict[str, Any]]:
    """What needs what, as the lock of uv has it."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    for each in sorted(locked, key=lambda package: package["name"]):
        needs = {need["name"] for need in each.get("dependencies", [])} & named.keys()
        if each["name"] in named:
            yield {
                "ref": named[each["name"]].purl,
                "dependsOn": sorted(named[need].purl for need in needs),
            }


def document() -> dict[str, Any]:
    """The whole document; the same for the same lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = packages()
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    told = json.dumps([[each.purl, each.hashes] for each in found])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, own + told)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "purl": own,
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": [_component(each) for each in found],
        "dependencies": list(graph({each.name: each for each in found})),
    }


def _component(package: Package) -> dict[str, Any]:
    said = licence(package.name)
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{package.name}/{package.version}/",
                "hashes": [{"alg": "SHA-256", "content": each} for each in package.hashes],
            }
        ],
    }
    return told if said == UNKNOWN else told | {"licenses": [{"expression": said}]}


def licences() -> str:
    """A line for each package: name, version, licence."""
    return "".join(f"{each.name} {each.version}: {licence(each.name)}\n" for each in packages())


def main() -> None:
    """Write both."""
    OUT.mkdir(exist_ok=True)
    (OUT / "parley.cdx.json").write_text(json.dumps(document(), indent=2) + "\n", encoding="utf-8")
    (OUT / "licences.txt").write_text(licences(), encoding="utf-8")
    sys.stdout.write(f"{OUT.name}/parley.cdx.json\n{OUT.name}/licences.txt\n")


if __name__ == "__main__":
    main()
