"""What all pages share, once per process: settings, feeds and the database."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import streamlit as st

from app_streamlit.feeds import CollectorFeed, TraderFeed
from kalshiflow.settings import Settings, load
from kalshiflow.store.database import Store

QUERY_SECONDS = 5.0

T = TypeVar("T")


@st.cache_resource
def settings() -> Settings:
    """Give the app's settings."""
    return load("app")


@st.cache_resource(on_release=CollectorFeed.stop)
def collector() -> CollectorFeed:
    """Give the collector's feed."""
    return CollectorFeed(f"ws://127.0.0.1:{settings().rl_collector_port}/rl/ws")


@st.cache_resource(on_release=TraderFeed.stop)
def trader() -> TraderFeed:
    """Give the trader's feed."""
    return TraderFeed(f"ws://127.0.0.1:{settings().rl_trader_port}/v3/ws")


class Database:
    """Runs the store's coroutines from Streamlit's threads, on one loop of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="database", daemon=True).start()

    def ask(self, query: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        """Run one query and wait for it; raises what it raises, `TimeoutError` after 5 s."""
        return asyncio.run_coroutine_threadsafe(self._ask(query), self._loop).result()

    async def _ask(self, query: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        async with asyncio.timeout(QUERY_SECONDS):
            if self._store is None:
                self._store = await Store.open(self._url)
            return await query(self._store)


@st.cache_resource
def database() -> Database:
    """Give the database."""
    return Database(settings().require("DATABASE_URL"))
