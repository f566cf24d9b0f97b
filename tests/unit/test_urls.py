"""A database URL that means the same in every process and folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderkit.store.urls import address_of, complete_url, shown


@pytest.mark.parametrize(
    ("url", "variables", "completed"),
    [
        ("postgresql://ada:pw@db:1/shop", {}, "postgresql://ada:pw@db:1/shop"),
        ("postgresql://ada:pw@db:1/shop", {"PGHOST": "no", "PGPASSWORD": "no"}, "postgresql://ada:pw@db:1/shop"),
        ("postgresql://ada@db/shop", {"PGPASSWORD": "a&b=@ ?"}, "postgresql://ada@db/shop?password=a%26b%3D%40%20%3F"),
        ("postgresql:///", {"PGHOST": "db", "PGUSER": "ada"}, "postgresql:///?host=db&user=ada"),
        ("postgresql://db/shop?sslmode=require", {"PGSSLMODE": "disable"}, "postgresql://db/shop?sslmode=require"),
        ("postgresql://db/shop", {"PGSSLROOTCERT": "/a/root.crt"}, "postgresql://db/shop?sslrootcert=/a/root.crt"),
        ("postgresql://db/shop", {"PGSSLROOTCERT": "system"}, "postgresql://db/shop?sslrootcert=system"),
        ("postgresql://db/shop", {"PGAPPNAME": "no setting of a connection's way"}, "postgresql://db/shop"),
    ],
)
def test_url_says_what_the_variables_said(url: str, variables: dict[str, str], completed: str) -> None:
    assert complete_url(url, variables) == completed
    assert complete_url(completed, variables) == completed


def test_files_are_found_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    completed = complete_url("postgresql://db/shop?sslcert=my.crt", {"PGPASSFILE": "keys/pass"})
    assert completed == f"postgresql://db/shop?sslcert={tmp_path}/my.crt&passfile={tmp_path}/keys/pass"


@pytest.mark.parametrize(
    ("url", "address", "told"),
    [
        ("postgresql://ada:pw@db.example.com:6432/shop?x=y", ("db.example.com", 6432), "db.example.com:6432/shop"),
        ("postgresql://db/shop", ("db", 5432), "db:5432/shop"),
        ("postgresql://[::1]:7/shop", ("::1", 7), "[::1]:7/shop"),
        ("postgresql://one:1,two:2/shop", ("one", 1), "one:1/shop"),
        ("postgresql:///?host=/run&port=7&dbname=shop&password=pw", ("/run", 7), "/run:7/shop"),
    ],
)
def test_address_is_told_without_the_password(url: str, address: tuple[str, int], told: str) -> None:
    assert address_of(url) == address
    assert shown(url) == f"postgresql://{told}"
