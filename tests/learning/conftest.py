"""Recordings of the synthetic market, made once for all tests of learning."""

import pytest

from kalshiflow.learning.episodes.plain import build_segments
from kalshiflow.venue.traders.synthetic import record


@pytest.fixture(scope="session")
def segments_of():
    def build(recording):
        markets = {market.ticker: market for market in recording.markets}
        return build_segments(recording.events, [], markets, "20260105T140000Z-test")

    return build


@pytest.fixture(scope="session")
def recording():
    return record(markets=8, seconds=150.0, seed=11)


@pytest.fixture(scope="session")
def segments(recording, segments_of):
    return segments_of(recording)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Give an empty cache folder for this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "kalshiflow" / "compiled"
