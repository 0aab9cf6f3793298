"""What a command works on: the settings, the folder of the installation's own files, the root secret.

Refuses to open a database or a connection: that is the commands' part.
"""

import os
from pathlib import Path

from config import load
from config.secret import Secret
from config.settings import Settings
from service.auth.derive import Derived
from service.auth.development import root_secret
from service.seal.vault import Vault
from service.store.probe import file_of


def settings() -> Settings:
    """The settings of this environment; raises SettingsError."""
    return load().settings


def settle() -> Settings:
    """The same, for a process that starts OpenTelemetry: `OTEL_*` of `.env` go into its environment."""
    loaded = load()
    for name, value in loaded.exports.items():
        os.environ.setdefault(name, value.reveal())
    return loaded.settings


def folder(given: Settings) -> Path:
    """Where the installation keeps files of its own: beside its SQLite database, else `var`."""
    database = file_of(given.database_url)
    return database.parent if database else Path("var")


def root(given: Settings) -> Secret:
    """AGENT_SECRET_KEY; in development, where it is unset, one that is made once and kept."""
    return given.secret_key or root_secret(folder(given))


def derived(given: Settings) -> Derived:
    """The keys of this installation."""
    return Derived(root(given), given.secret_key_previous)


def vault(given: Settings) -> Vault:
    """How the audit's content is kept, and the keys to it."""
    return derived(given).vault(sealed=given.audit.content == "sealed")
