"""A folder into which pip has installed somebody else's package, to be put on a service's path.

Refuses the network and the environment the tests run in: nothing is fetched, nothing else sees the package.
"""

import shutil
import subprocess
import sys
from pathlib import Path


def install(source: Path, folder: Path) -> Path:
    """Build the package in `source`, a copy of it, and install it below `folder`; give the path to use."""
    build, site = folder / "build", folder / "site"
    shutil.copytree(source, build, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    flags = ["--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, *flags, str(build)], check=True, capture_output=True)
    return site
