"""What opening a database on a server refuses, and in which words."""

import asyncio
import os
import shutil
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.errors import DatabaseError
from service.store.database import open_database
from service.store.postgres.faults import FORM
from tests.harness.postgres import PASSWORD, UNPRIVILEGED, USER, Postgres
from tests.harness.sql import ask


async def refused(url):
    with pytest.raises(DatabaseError) as caught:
        await open_database(url)
    error = caught.value
    while error:
        assert PASSWORD not in str(error)
        assert PASSWORD not in repr(error)
        error = error.__cause__
    return caught.value.detail


async def opened(url):
    database = await open_database(url)
    await database.ping()
    await database.close()


async def test_a_closed_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert await refused(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/d") == (
        f"The database server cannot be reached: Connection refused. DATABASE_URL names 127.0.0.1:{port}/d."
    )


async def test_a_socket_that_is_not_there(tmp_path):
    url = f"postgresql://{USER}:{PASSWORD}@/d?host={tmp_path}"
    assert await refused(url) == (
        "A file or socket that DATABASE_URL names cannot be opened: No such file or directory. "
        "DATABASE_URL names /d."
    )


async def test_a_port_behind_which_nobody_speaks():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/d"
        assert (await refused(url)).startswith("The database did not answer in time.")


async def test_a_port_behind_which_another_protocol_speaks():
    async def hang_up(_, writer):
        writer.write(b"SSH-2.0-x\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    words = await refused(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/d")
    assert words.endswith(f"DATABASE_URL names 127.0.0.1:{port}/d.")
    server.close()
    await server.wait_closed()


async def test_a_wrong_password(postgres):
    url = f"postgresql://{USER}:{PASSWORD}x@127.0.0.1:{postgres.port}/postgres"
    assert (await refused(url)).startswith("The database server does not let this user in.")


async def test_an_unknown_user(postgres):
    url = f"postgresql://nobody:{PASSWORD}@127.0.0.1:{postgres.port}/postgres"
    assert (await refused(url)).startswith("The database server does not let this user in.")


async def test_an_unknown_database(postgres):
    assert (await refused(postgres.url("nothing"))).startswith("The database server has no such database.")


@pytest.mark.parametrize(
    "options",
    ["?sslmode=perhaps", "?no_such_setting=1", "?target_session_attrs=any-will-do", "?sslnegotiation=x"],
)
async def test_an_option_that_nobody_knows(postgres, options):
    assert (await refused(postgres.url("postgres", options))).startswith(FORM)


async def test_a_database_that_cannot_hold_every_text(postgres):
    url = postgres.database("ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
    assert (await refused(url)).startswith("The database must be encoded in UTF8.")


async def test_a_user_who_may_create_nothing(postgres):
    database = postgres.database().rpartition("/")[2]
    postgres.sql(f"CREATE ROLE guest_{database} LOGIN PASSWORD '{PASSWORD}'", database)
    url = f"postgresql://guest_{database}:{PASSWORD}@127.0.0.1:{postgres.port}/{database}"
    assert (await refused(url)).startswith("The database does not permit this to its user.")


async def test_a_database_that_is_read_only(postgres):
    url = postgres.database()
    name = url.rpartition("/")[2]
    postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on", "postgres")
    assert (await refused(url)).startswith("The database is read-only.")


async def test_a_database_of_a_newer_program(url):
    await opened(url)
    ask(url, "INSERT INTO schema_migration VALUES (999, 'later', 'x', 0)")
    assert "newer than this program: migration 999" in await refused(url)


async def test_a_refusal_leaves_no_connection(url):
    await opened(url)
    ask(url, "UPDATE schema_migration SET checksum = 'x' WHERE version = 1")
    assert "Migration 1 of the database is not the one" in await refused(url)
    assert ask(url, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'parley'") == []


async def test_a_password_of_special_characters_percent_encoded(postgres):
    database = postgres.database().rpartition("/")[2]
    postgres.sql(f"CREATE ROLE special_{database} LOGIN SUPERUSER PASSWORD 'a@b/c:d?e#f%g'", database)
    await opened(
        f"postgresql://special_{database}:a%40b%2Fc%3Ad%3Fe%23f%25g@127.0.0.1:{postgres.port}/{database}"
    )


def certify(server: Postgres) -> str:
    """Give the server a certificate for 127.0.0.1 that it signed itself, and return the file's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "parley tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            issuer_name=name,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=1),
            not_valid_after=now + timedelta(days=1),
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = {
        "server.crt": certificate.public_bytes(serialization.Encoding.PEM),
        "server.key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    }
    for file, content in files.items():
        path = server.data / file
        path.write_bytes(content)
        path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, UNPRIVILEGED, UNPRIVILEGED)
    return str(server.data / "server.crt")


async def encrypted(url):
    database = await open_database(url)
    async with database._engine.lent() as line:
        found = await line.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await database.close()
    return found


async def test_sslmode_is_respected(server, tmp_path):
    server.stop()
    certificate = certify(server)
    other = tmp_path / "other.crt"
    server.start(ssl="on")
    url = server.database()
    assert await encrypted(url) is True
    assert await encrypted(f"{url}?sslmode=disable") is False
    assert await encrypted(f"{url}?sslmode=require") is True
    assert await encrypted(f"{url}?sslmode=verify-full&sslrootcert={certificate}") is True
    wrong_name = url.replace("127.0.0.1", "localhost")
    assert await encrypted(f"{wrong_name}?sslmode=verify-ca&sslrootcert={certificate}") is True
    assert "certificate does not hold" in await refused(
        f"{wrong_name}?sslmode=verify-full&sslrootcert={certificate}"
    )
    assert "cannot be opened: No such file" in await refused(f"{url}?sslmode=verify-full&sslrootcert={other}")


async def test_tls_that_is_required_and_not_there_is_refused(url):
    assert (await refused(f"{url}?sslmode=require")).startswith(
        "The database server cannot be reached as DATABASE_URL says."
    )
