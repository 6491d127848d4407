"""Bring a database to the schema that these programs know; the only place that loads alembic."""

from importlib.resources import files

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from kalshiflow.store.errors import StoreUnavailable

_LOCK = 0x6B616C73  # any number of our own; two migrations at once wait for each other


def migrate(url: str, revision: str = "head") -> str:
    """Run the missing migrations and give the revision reached; does nothing on a current database.

    `revision` is where to stop. Raises `StoreUnavailable` where the database cannot be reached.
    """
    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg2"),
        poolclass=sqlalchemy.pool.NullPool,
    )
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except sqlalchemy.exc.OperationalError as failed:
        raise StoreUnavailable(f"the database cannot be reached: {_first_line(failed)}") from failed
    finally:
        engine.dispose()
    return newest_revision() if revision == "head" else revision


def newest_revision() -> str:
    """Give the last revision of our scripts."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("kalshiflow.store") / "migrations"))
    return config


def _first_line(failed: sqlalchemy.exc.OperationalError) -> str:
    return str(failed.orig).strip().splitlines()[0]
