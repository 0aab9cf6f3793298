"""The steps of the schema: SQL files, in order, which of them a database still needs.

Refuses a database that a newer program has migrated, and one whose migrations were not these.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from service.errors import DatabaseError

FOLDER = Path(__file__).parent / "migrations"


class Migration(Struct, frozen=True, kw_only=True):
    """One step of the schema, read from `{version}_{name}.{dialect}.sql`."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL in hex: a step that has been applied anywhere never changes."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(dialect: str, folder: Path = FOLDER) -> tuple[Migration, ...]:
    """Read a dialect's migrations in their order."""
    return tuple(_read(file) for file in sorted(folder.glob(f"*.{dialect}.sql")))


def missing(migrations: Sequence[Migration], applied: Sequence[tuple[int, str]]) -> Sequence[Migration]:
    """What is to be applied after what was, each as version and checksum in the order of the versions.

    Raises:
        DatabaseError: What was applied are not the first ones of these.
    """
    for (version, checksum), known in zip(applied, migrations, strict=False):
        if (version, checksum) != (known.version, known.checksum):
            raise DatabaseError(
                f"Migration {version} of the database is not the one that this program knows."
            )
    if len(applied) > len(migrations):
        raise DatabaseError(
            f"The database is newer than this program: migration {applied[-1][0]} is unknown."
        )
    return migrations[len(applied) :]


def _read(file: Path) -> Migration:
    version, _, name = file.name.split(".")[0].partition("_")
    return Migration(version=int(version), name=name, sql=file.read_text(encoding="utf-8"))
