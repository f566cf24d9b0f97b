"""A PostgreSQL with TLS and a password, and a Temporal server, as somebody else would have started them.

The wheel's PostgreSQL is built without TLS. So this takes Debian's, where there is one of a version that the wheel
lacks; on other machines the password has to do.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.postgresql import make_data

from orderkit.stack import postgres
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.store.administration import make_database

TLS_VERSION = next((each for each in (17, 15) if Path(f"/usr/lib/postgresql/{each}/bin/initdb").is_file()), None)
ROLE, DATABASE = "shop", "warehouse"  # not the names that a lab would take
_ONLY_TLS = "hostssl all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class Servers:
    """They run; `variables` lead to them, as a person would set them."""

    stack: Stack  # what runs them, which no lab under test may know
    password: str
    certificate: Path | None
    superuser_url: str

    @property
    def address(self) -> str:
        """PostgreSQL's host and port."""
        return f"127.0.0.1:{self.stack.ports.postgres}"

    @property
    def url(self) -> str:
        """The database, without what libpq's variables say."""
        return f"postgresql://{ROLE}@{self.address}/{DATABASE}"

    @property
    def variables(self) -> Mapping[str, str]:
        """Some in the URL, some by libpq's own variables."""
        tls = {"PGSSLROOTCERT": str(self.certificate)} if self.certificate else {}
        return tls | {
            "ORDERKIT_DATABASE_URL": f"{self.url}?sslmode={'verify-full' if self.certificate else 'disable'}",
            "PGPASSWORD": self.password,
            "TEMPORAL_ADDRESS": self.stack.temporal_address,
            "TEMPORAL_NAMESPACE": "default",
            "ORDERKIT_TEMPORAL_UI_URL": self.stack.ui_url,
        }

    def pids(self) -> dict[str, int | None]:
        """The servers' processes: the same while nobody killed them."""
        return {name: self.stack.pid(name) for name in ("postgres", "temporal")}


@contextmanager
def servers_elsewhere(folder: Path) -> Iterator[Servers]:
    """Start them in this folder; ended afterwards."""
    home = folder / ".orderkit"
    try:
        if TLS_VERSION:
            make_data(home, TLS_VERSION)
        stack = up(home, programs=("postgres", "temporal"), preferred={})
        password = secrets.token_urlsafe(12) + "&=@"
        certificate, superuser_url = None, stack.superuser_url()
        asyncio.run(make_database(superuser_url, ROLE, password, DATABASE))
        if TLS_VERSION:
            certificate = _certify(home)
            superuser_url = superuser_url.replace("sslmode=disable", f"sslmode=verify-full&sslrootcert={certificate}")
            asyncio.run(_secure(stack, superuser_url))
        yield Servers(stack, password, certificate, superuser_url)
    finally:
        down(home)


async def _secure(stack: Stack, secure: str) -> None:
    """TLS on, and everything else refused."""
    connection = await asyncpg.connect(stack.superuser_url())
    try:
        await connection.execute("ALTER SYSTEM SET ssl = on")
        (stack.home / postgres.DATA_FOLDER / "pg_hba.conf").write_text(_ONLY_TLS)
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()
    async with asyncio.timeout(10):
        while True:
            try:
                await (await asyncpg.connect(secure)).close()
                return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.05)


def _certify(home: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, where PostgreSQL looks for its own; returns the file to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else's PostgreSQL")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    data = home / postgres.DATA_FOLDER
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for file, text in (("server.key", private), ("server.crt", certificate.public_bytes(serialization.Encoding.PEM))):
        (data / file).touch(mode=0o600)
        (data / file).write_bytes(text)
        if user := postgres.account(home):
            shutil.chown(data / file, user)
    trusted = home.parent / "root.crt"
    shutil.copy(data / "server.crt", trusted)
    return trusted
