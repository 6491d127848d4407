"""Every variable of every program: one table, read once, checked whole.

A program calls `load(program)` at its start. Values come from the process environment, then from
`.env.<ENVIRONMENT>`, then from the file that `RL_ENV_FILE` names (default `.env`, written by
`kalshiflow up`); the first that has a name wins. Each environment has a state folder of its own, so
that what was learned on one exchange never trades on another. An unknown `RL_` or `KALSHI_` name, a
replaced name or a malformed value raises `SettingsError` with one sentence that says what to write
instead.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values


class SettingsError(ValueError):
    """A variable that is missing, unknown, replaced or malformed."""


class Environment(StrEnum):
    """Which exchange: ours on this machine, Kalshi's demo, or Kalshi."""

    LOCAL = "local"
    PAPER = "paper"
    PRODUCTION = "production"


class OrdersTo(StrEnum):
    """Where the trader's orders go."""

    NONE = "none"
    SIMULATED = "simulated"
    EXCHANGE = "exchange"


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"a whole number from {low} to {high}") from None
        if not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return read


def _decimal(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"a number from {low:g} to {high:g}") from None
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return value

    return read


def _shard(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", text):
        raise ValueError("up to 32 of a-z, 0-9 and -, such as main or shard-2")
    return text


def _yes_no(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise ValueError("yes or no")
    return text == "yes"


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        expected = f"a URL that begins with {' or '.join(s + '://' for s in schemes)}"
        try:
            parts = urlsplit(text)
            has_place = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:  # its words quote the text, which may hold a password
            raise ValueError(f"{expected}, with a port from 1 to 65535 if any") from None
        if parts.scheme not in schemes or not has_place:
            raise ValueError(expected)
        return text

    return read


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


_PORT = _whole(1, 65535)
_POSTGRES = _url("postgresql", "postgresql+psycopg2")
_STREAMING, _TRADER, _PIPELINES, _APP, _STACK, _VENUE = (
    "streaming",
    "trader",
    "pipelines",
    "app",
    "stack",
    "venue",
)
PROGRAMS = (_STREAMING, _TRADER, _PIPELINES, _APP, _STACK, _VENUE)


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: `read` turns its text into its value or raises ValueError with what is right.

    `default` is text, as a user would write it; `None` means that the variable may be absent.
    """

    name: str
    meaning: str
    default: str | None
    read: Callable[[str], Any]
    programs: tuple[str, ...]
    unit: str = ""
    secret: bool = False


VARIABLES: tuple[Variable, ...] = (
    Variable("ENVIRONMENT", "which exchange", "local", Environment, PROGRAMS),
    Variable("RL_ENV_FILE", "the file that fills in missing variables", ".env", str, PROGRAMS),
    Variable("RL_STATE_DIR", "the stack's state folder", ".kalshiflow", Path, PROGRAMS),
    Variable("DATABASE_URL", "the database `app`", None, _POSTGRES, PROGRAMS, secret=True),
    Variable(
        "DAGSTER_DATABASE_URL",
        "Dagster's database",
        None,
        _POSTGRES,
        (_PIPELINES, _STACK),
        secret=True,
    ),
    Variable("MLFLOW_DATABASE_URL", "MLflow's database", None, _POSTGRES, (_STACK,), secret=True),
    Variable(
        "MLFLOW_TRACKING_URI",
        "the MLflow server",
        "http://127.0.0.1:5000",
        _url("http", "https"),
        (_TRADER, _PIPELINES, _APP, _STACK),
    ),
    Variable(
        "KALSHI_API_URL",
        "the exchange's REST address, up to /trade-api/v2",
        None,
        _url("http", "https"),
        (_STREAMING, _TRADER),
    ),
    Variable(
        "KALSHI_WS_URL", "the exchange's WebSocket", None, _url("ws", "wss"), (_STREAMING, _TRADER)
    ),
    Variable("KALSHI_API_KEY_ID", "the API key's id", None, str, (_STREAMING, _TRADER)),
    Variable(
        "KALSHI_PRIVATE_KEY_CONTENT",
        "the API key's private half, PEM",
        None,
        str,
        (_STREAMING, _TRADER),
        secret=True,
    ),
    Variable("KALSHI_PRIVATE_KEY_PATH", "a file with that PEM", None, Path, (_STREAMING, _TRADER)),
    Variable(
        "RL_MARKET_MODE",
        "which markets: found on the exchange, or named",
        "discovery",
        _one_of("discovery", "tickers"),
        (_STREAMING, _TRADER),
    ),
    Variable("RL_MARKET_TICKERS", "the named markets", "", _names, (_STREAMING, _TRADER)),
    Variable(
        "RL_ORDERBOOK_MARKET_LIMIT",
        "most markets at once",
        "100",
        _whole(1, 10_000),
        (_STREAMING, _TRADER),
    ),
    Variable(
        "RL_MARKET_SERIES",
        "record markets of these series only (discovery; default: all)",
        "",
        _names,
        (_STREAMING, _TRADER),
    ),
    Variable(
        "RL_MARKET_CATEGORIES",
        "record markets of these categories only (discovery; default: all)",
        "",
        _names,
        (_STREAMING, _TRADER),
    ),
    Variable(
        "RL_MARKET_EXCLUDE",
        "patterns of tickers that are never taken (discovery), such as KXMVE*",
        "",
        _names,
        (_STREAMING, _TRADER),
    ),
    Variable(
        "RL_COLLECTOR_SHARD",
        "the name this collector records under; one at a time has it",
        "main",
        _shard,
        (_STREAMING,),
    ),
    Variable(
        "RL_SPOOL_DIR",
        "what was received and is not in the database yet (default: `spool` in RL_STATE_DIR)",
        None,
        Path,
        (_STREAMING,),
    ),
    Variable(
        "RL_SPOOL_LIMIT_MB",
        "most that the spool may hold; beyond it reading from the exchange stops",
        "8192",
        _whole(16, 10_000_000),
        (_STREAMING,),
        "megabytes",
    ),
    Variable(
        "RL_SPOOL_ARCHIVE_DIR",
        "where spooled frames go, compressed, once they are in the database (default: nowhere)",
        None,
        Path,
        (_STREAMING,),
    ),
    Variable(
        "RL_SAMPLE_RATE",
        "show screens one of so many book changes; recording takes all of them",
        "1",
        _whole(1, 1_000_000),
        (_STREAMING,),
    ),
    Variable(
        "RL_AUDIT_MARKETS",
        "books that are compared with the exchange's own answer each minute",
        "3",
        _whole(0, 60),
        (_STREAMING,),
    ),
    Variable(
        "RL_RETENTION_DAYS",
        "days of recordings that are kept (default: all)",
        None,
        _whole(1, 36_500),
        (_STREAMING,),
        "days",
    ),
    Variable(
        "RL_SESSION_MAX_MINUTES",
        "a session's longest recording, by our clock",
        "60",
        _decimal(0.05, 1440),
        (_STREAMING, _TRADER),
        "minutes",
    ),
    Variable(
        "RL_SESSION_TRADED",
        "mark recorded sessions as ones in which our own trader took part",
        "no",
        _yes_no,
        (_STREAMING,),
    ),
    Variable(
        "RL_COLLECTOR_PORT", "the collector's port", "8001", _PORT, (_STREAMING, _APP, _STACK)
    ),
    Variable("RL_TRADER_PORT", "the trader's port", "8005", _PORT, (_TRADER, _APP, _STACK)),
    Variable("RL_APP_PORT", "the app's port", "8501", _PORT, (_APP, _STACK)),
    Variable("RL_MLFLOW_PORT", "MLflow's port", "5000", _PORT, (_STACK,)),
    Variable("RL_DAGSTER_PORT", "Dagster's port", "3000", _PORT, (_PIPELINES, _STACK)),
    Variable("RL_VENUE_PORT", "the local venue's port", "8090", _PORT, (_STACK,)),
    Variable("RL_VENUE_WS_PORT", "the local venue's WebSocket port", "8091", _PORT, (_STACK,)),
    Variable("RL_VENUE_MARKETS", "synthetic markets", "24", _whole(1, 1000), (_STACK,)),
    Variable("RL_VENUE_SPEED", "market seconds per second", "1", _decimal(0.1, 100_000), (_STACK,)),
    Variable("RL_VENUE_SEED", "the synthetic traders' seed", "7", _whole(0, 2**31 - 1), (_STACK,)),
    Variable(
        "RL_VENUE_LOG", "the local venue's log of all it is asked and sends", None, Path, (_STACK,)
    ),
    Variable(
        "RL_ACTOR_ORDERS",
        "where orders go (default: exchange in local and paper, simulated in production)",
        None,
        OrdersTo,
        (_TRADER,),
    ),
    Variable(
        "RL_ACTOR_PRODUCTION_ORDERS",
        "second consent to orders in production",
        "no",
        _yes_no,
        (_TRADER,),
    ),
    Variable(
        "RL_ACTOR_PRODUCTION_CONFIRM",
        "third consent: today's UTC date, written for this run",
        None,
        str,
        (_TRADER,),
    ),
    Variable(
        "RL_ACTOR_THROTTLE_MS",
        "least market time between decisions of a market",
        "250",
        _whole(1, 3_600_000),
        (_TRADER, _PIPELINES),
        "milliseconds",
    ),
    Variable(
        "RL_ACTOR_INITIAL_CASH",
        "the account's cash where orders are simulated",
        "100000",
        _whole(1, 10**9),
        (_TRADER,),
        "cents",
    ),
    Variable(
        "RL_ACTOR_MARKET_BUDGET",
        "cash that the policy may use in one market",
        "10000",
        _whole(1, 10**9),
        (_TRADER, _PIPELINES),
        "cents",
    ),
    Variable(
        "RL_ACTOR_ORDER_CONTRACTS",
        "contracts of one order",
        "10",
        _whole(1, 100_000),
        (_TRADER, _PIPELINES),
        "contracts",
    ),
    Variable(
        "RL_ACTOR_TAPE",
        "record the trader's own frames and account, so that its decisions can be made again",
        "yes",
        _yes_no,
        (_TRADER,),
    ),
    Variable(
        "RL_ACTOR_TAPE_LIMIT_MB",
        "most that waits on disk for the database; beyond it the recording ends, never the trading",
        "1024",
        _whole(16, 10_000_000),
        (_TRADER,),
        "megabytes",
    ),
    Variable(
        "RL_SIM_FILL_MODEL",
        "what is assumed of own orders where recordings do not tell (simulated orders, training)",
        "pessimistic",
        _one_of("pessimistic", "realistic", "optimistic"),
        (_TRADER, _PIPELINES),
    ),
    Variable(
        "RL_SIM_LATENCY_MS",
        "market time that a simulated command is on its way",
        "50",
        _whole(0, 60_000),
        (_TRADER, _PIPELINES),
        "milliseconds",
    ),
    Variable(
        "RL_POLICY_POLL_SECONDS",
        "pause between looks at the champion alias",
        "3",
        _decimal(0.1, 3600),
        (_TRADER,),
        "seconds",
    ),
    Variable(
        "RL_DATA_DIR",
        "episodes and datasets",
        ".kalshiflow/data",
        Path,
        (_PIPELINES, _STACK),
    ),
    Variable(
        "RL_EPISODE_MAX_MINUTES",
        "longest episode of a training, in market time",
        "60",
        _decimal(0.01, 1_000_000),
        (_PIPELINES,),
        "minutes",
    ),
    Variable(
        "RL_DATASET_MEMORY_MB",
        "memory that reading a session may use, and each part of a dataset, whatever their size",
        "512",
        _whole(32, 1_000_000),
        (_PIPELINES,),
        "megabytes",
    ),
    Variable(
        "RL_DATASET_EMBARGO_SECONDS",
        "market time between what is learned from and what is evaluated on",
        "40",
        _decimal(32, 1_000_000),
        (_PIPELINES,),
        "seconds",
    ),
    Variable(
        "RL_DATASET_EVENT_SHARE",
        "share of the events that are not learned from, to evaluate on",
        "0.2",
        _decimal(0, 0.5),
        (_PIPELINES,),
    ),
    Variable(
        "RL_RETRAIN_SESSIONS",
        "new good sessions that start a training",
        "3",
        _whole(1, 100_000),
        (_PIPELINES,),
    ),
    Variable(
        "RL_RETRAIN_COOLDOWN_MINUTES",
        "least time between trainings",
        "30",
        _decimal(0, 100_000),
        (_PIPELINES,),
        "minutes",
    ),
    Variable(
        "RL_TRAIN_TIMESTEPS",
        "environment steps of one candidate's training",
        "60000",
        _whole(256, 10**9),
        (_PIPELINES,),
    ),
    Variable(
        "RL_TRAIN_CANDIDATES",
        "candidates (seeds) of one training",
        "3",
        _whole(1, 64),
        (_PIPELINES,),
    ),
    Variable(
        "RL_TRAIN_SEED", "the first candidate's seed", "7", _whole(0, 2**31 - 1), (_PIPELINES,)
    ),
    Variable(
        "RL_TRAIN_WAKE",
        "make a policy that learned to do nothing act all the same, for a demonstration",
        "no",
        _yes_no,
        (_PIPELINES,),
    ),
    Variable(
        "RL_LOG_LEVEL",
        "least severe log line",
        "info",
        _one_of("debug", "info", "warning", "error"),
        PROGRAMS,
    ),
    Variable("RL_STACK_CHILD", "set by the supervisor for its own processes", None, str, PROGRAMS),
)

REPLACED: dict[str, str] = {
    "RL_MARKET_TICKER": "RL_MARKET_TICKERS",
    "RL_ACTOR_ENABLED": "RL_ACTOR_ORDERS (none | simulated | exchange)",
    "RL_ACTOR_STRATEGY": "the MLflow alias `champion`",
    "RL_ACTOR_MODEL_PATH": "the MLflow alias `champion`",
    "RL_ACTOR_CONTRACT_SIZE": "RL_ACTOR_ORDER_CONTRACTS",
    "RL_MODEL_REFRESH_INTERVAL": "RL_POLICY_POLL_SECONDS",
    "RL_MODEL_STORAGE_PATH": "MLFLOW_TRACKING_URI",
    "RL_ORDERBOOK_MAX_QUEUE_SIZE": "nothing: the recorder drops no frame",
    "RL_ORDERBOOK_BATCH_SIZE": "nothing: batches size themselves",
    "RL_ORDERBOOK_FLUSH_INTERVAL": "nothing: batches size themselves",
    "RL_WEBSOCKET_PING_INTERVAL": "nothing: the exchange pings",
    "RL_WEBSOCKET_TIMEOUT": "nothing: the connection watches the exchange's pings",
    "RL_MAX_RECONNECT_ATTEMPTS": "nothing: the connection never gives up",
}

_BY_NAME = {variable.name: variable for variable in VARIABLES}


class Settings:
    """The values of one program, each as an attribute named like its variable in lower case."""

    def __init__(self, program: str, values: Mapping[str, Any], texts: Mapping[str, str]) -> None:
        self.program = program
        self._values = dict(values)
        self.texts = dict(texts)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name.upper()]
        except KeyError:
            raise AttributeError(f"{self.program} has no variable {name.upper()}") from None

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={'***' if _BY_NAME[name].secret and value is not None else value!r}"
            for name, value in self._values.items()
        )
        return f"Settings({self.program}: {shown})"

    def effective(self) -> dict[str, str]:
        """Give the text of each of the program's variables that has one, defaults included."""
        named = {name: self.texts.get(name) or _BY_NAME[name].default for name in self._values}
        return {name: text for name, text in named.items() if text}

    def require(self, name: str) -> Any:
        """Give a value that must be there; raises `SettingsError` with the way out if it is not."""
        value = self._values[name]
        if value is None:
            variable = _BY_NAME[name]
            raise SettingsError(f"{name} is not set ({variable.meaning}); {self._way_out(name)}")
        return value

    def _way_out(self, name: str) -> str:
        environment = self._values["ENVIRONMENT"]
        if name.startswith("KALSHI_") and environment is not Environment.LOCAL:
            return f"write it to .env.{environment}, or set it yourself"
        return "run `kalshiflow up` to have it written to .env, or set it yourself"


def load(
    program: str, environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Settings:
    """Read the variables of `program`; raises `SettingsError` at the first that is wrong."""
    process = dict(os.environ if environ is None else environ)
    folder = folder or Path.cwd()
    filling = folder / (process.get("RL_ENV_FILE") or ".env")
    filled = dotenv_values(filling)
    environment = _environment_of(process.get("ENVIRONMENT"), filled.get("ENVIRONMENT"), filling)
    merged = dict(process) | {"ENVIRONMENT": environment}
    for found in (dotenv_values(folder / f".env.{environment}"), filled):
        for name, text in found.items():
            merged.setdefault(name, text or "")
    _refuse_unknown(merged)
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        if program in variable.programs:
            values[variable.name] = _value_of(variable, merged.get(variable.name))
    for name in ("RL_STATE_DIR", "RL_DATA_DIR"):
        if name in values and not merged.get(name) and environment != Environment.LOCAL:
            first, *rest = values[name].parts
            values[name] = Path(f"{first}-{environment}", *rest)
    return Settings(program, values, {n: t for n, t in merged.items() if n in _BY_NAME})


def _environment_of(asked: str | None, written: str | None, file: Path) -> str:
    """Give the environment that was asked for, else that of the stack that wrote `file`."""
    if asked and written and asked != written:
        raise SettingsError(
            f"ENVIRONMENT is {asked}, but {file.name} was written by the stack of {written}; "
            f"end that one with `ENVIRONMENT={written} kalshiflow down` first"
        )
    return asked or written or Environment.LOCAL.value


def _refuse_unknown(merged: Mapping[str, str]) -> None:
    for name in sorted(merged):
        if name in REPLACED:
            raise SettingsError(f"{name} is not used any more; use {REPLACED[name]}")
        if name.startswith(("RL_", "KALSHI_")) and name not in _BY_NAME:
            raise SettingsError(
                f"{name} is no variable of ours; remove it, or see `kalshiflow settings`"
            )


def _value_of(variable: Variable, text: str | None) -> Any:
    text = text or variable.default  # an empty value means the default, as in a shell
    if text is None:
        return None
    try:
        return variable.read(text)
    except ValueError as wrong:
        shown = "its value" if variable.secret else repr(text)
        expected = (
            f"one of {', '.join(variable.read)}"
            if isinstance(variable.read, type) and issubclass(variable.read, StrEnum)
            else str(wrong)
        )
        raise SettingsError(
            f"{variable.name}: {shown} is not valid; it must be {expected}"
        ) from None
