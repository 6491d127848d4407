"""Fixtures of the pipelines' tests: a stored synthetic session, an MLflow server, variables."""

import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from session_writer import NewSession, SessionWriter

from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, PublicTrade, Stamp
from kalshiflow.market.listing import Market
from kalshiflow.store.certificate import Certificate
from kalshiflow.store.database import Store, run
from kalshiflow.store.markets import save_markets
from kalshiflow.venue.traders.synthetic import Recording, record


@dataclass(frozen=True)
class Frame:
    """A received frame, as far as the store reads it."""

    event: MarketEvent
    kind: str = "orderbook_delta"
    gap: None = None
    error: None = None

    @property
    def stamp(self) -> Stamp:
        return self.event.stamp

    @property
    def frame_no(self) -> int:
        return self.event.stamp.frame_no

    @property
    def sid(self) -> int | None:
        return self.event.stamp.sid

    @property
    def seq(self) -> int | None:
        return self.event.stamp.seq

    @property
    def tickers(self) -> tuple[str, ...]:
        return (self.event.ticker,)


def store_session(
    url: str,
    session_id: str,
    markets: Sequence[Market],
    events: Sequence[MarketEvent],
    *,
    origin: str = "collector",
    traded: bool = False,
) -> Certificate:
    """Write events as one closed session, the way a recorder does."""

    async def write(store: Store) -> Certificate:
        await save_markets(store, markets, at=events[0].stamp.received_at)
        grids = {market.ticker: market.grid for market in markets}
        closes = {market.ticker: market.close_time for market in markets if market.close_time}
        started_at = events[0].stamp.received_at
        writer = SessionWriter(
            store, NewSession(session_id, origin, "local", traded, started_at, grids, closes)
        )
        books = Books(grids)
        for event in events:
            writer.add(Frame(event), b"{}")
            if isinstance(event, BookDelta | BookSnapshot):
                books.apply(event)
        certificate = await writer.close("test", books)
        assert certificate is not None
        return certificate

    return run(url, write)


@pytest.fixture(scope="session")
def recording() -> Recording:
    """Give a few minutes of a small synthetic exchange."""
    return record(markets=4, seconds=240, seed=19)


@pytest.fixture(scope="session")
def holed_events(recording: Recording) -> list[MarketEvent]:
    """Give the recording's events without one public trade: a frame that was never stored."""
    lost = next(event for event in recording.events if isinstance(event, PublicTrade))
    return [event for event in recording.events if event is not lost]


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real MLflow server on its own SQLite file."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _import_mlflow()
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _import_mlflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about its own types while it is imported
        import mlflow.onnx
        import mlflow.pyfunc  # noqa: F401


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(address, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"MLflow did not answer in time: {log.read_text()[-2000:]}")


@pytest.fixture
def overrides(postgres_url: str, tmp_path: Path) -> dict[str, str]:
    """Give the variables of a small training on a database and a folder of its own."""
    return {
        "RL_ENV_FILE": str(tmp_path / "no.env"),
        "DATABASE_URL": postgres_url,
        "RL_DATA_DIR": str(tmp_path / "data"),
        "RL_TRAIN_TIMESTEPS": "512",
        "RL_TRAIN_CANDIDATES": "1",
        "RL_RETRAIN_SESSIONS": "1",
    }


@pytest.fixture
def stored(postgres_url: str, recording: Recording) -> Callable[..., Certificate]:
    """Give a function that stores the recording as a session of a given id."""

    def store(session_id: str, events: Sequence[MarketEvent] | None = None, **more: object):
        return store_session(
            postgres_url, session_id, recording.markets, events or recording.events, **more
        )

    return store
