"""Where the three databases are: on a server that is given, or on one of our own."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2

from kalshiflow.settings import Settings
from kalshiflow.stack.errors import PostgresError
from kalshiflow.stack.postgres import PostgresServer, create_database

PSYCOPG2 = (
    "postgresql+psycopg2"  # named, since SQLAlchemy's default driver changes with its version
)


@dataclass(frozen=True, slots=True)
class Databases:
    """The URLs of the databases; the last two name their driver. `is_ours`: we run the server."""

    app: str
    dagster: str
    mlflow: str
    is_ours: bool


def ensure_databases(settings: Settings, state: Path) -> Databases:
    """Start our own server unless DATABASE_URL names one, and create the databases missing there.

    Raises `PostgresError` where that cannot be done.
    """
    if settings.database_url is None:
        server = PostgresServer(state)
        return Databases(
            server.start(),
            server.url("dagster", PSYCOPG2),
            server.url("mlflow", PSYCOPG2),
            is_ours=True,
        )
    app = _with_scheme(settings.database_url, "postgresql")
    given = {"dagster": settings.dagster_database_url, "mlflow": settings.mlflow_database_url}
    urls: dict[str, str] = {}
    for name, url in given.items():
        urls[name] = _with_scheme(url or sibling(app, name), PSYCOPG2)
        if url is None:
            _create_sibling(app, name)
    return Databases(app, urls["dagster"], urls["mlflow"], is_ours=False)


def sibling(url: str, name: str) -> str:
    """Give the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _with_scheme(url: str, scheme: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme=scheme))


def _create_sibling(app: str, name: str) -> None:
    try:
        create_database(app, name)
    except psycopg2.OperationalError as unreachable:
        why = str(unreachable).strip().splitlines()[0]
        raise PostgresError(f"the server of DATABASE_URL cannot be reached: {why}") from None
    except psycopg2.Error as refused:
        why = str(refused).strip().splitlines()[0]
        raise PostgresError(
            f"the server of DATABASE_URL does not let us create the database `{name}` ({why}); "
            f"create it, or set {name.upper()}_DATABASE_URL"
        ) from None
