"""What a first start in development makes up, so that nobody has to: a root secret.

Refuses to exist in production: the settings demand AGENT_SECRET_KEY there.
"""

import os
import secrets
from pathlib import Path

from config.secret import Secret


def keep(path: Path, make: str) -> str:
    """Return what the file holds; write `make` into it first where there is none. Only the owner reads it.

    Two processes that start together agree: the first to create the file wins.

    Raises:
        OSError: it cannot be written or read, or is empty: an empty secret would be everybody's.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(make)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    if kept := path.read_text().strip():
        return kept
    raise OSError(f"{path} is empty; remove it to have another made.")


def root_secret(directory: Path) -> Secret:
    """The development secret of this directory."""
    return Secret(keep(directory / "secret-key", secrets.token_urlsafe(48)))
