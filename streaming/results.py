"""The results of markets that were settled while nobody listened: asked for, and stored."""

import asyncio
from collections.abc import Callable, Container
from dataclasses import replace

import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.errors import ExchangeError
from kalshiflow.market.listing import MarketStatus
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.markets import save_markets, unsettled
from streaming.health import SECOND

FIRST_SECONDS = 15.0  # a connection tells of those that it follows
EACH_SECONDS = 300.0
LOOKS_BACK = 30 * 86_400 * SECOND

log = structlog.get_logger()


class Results:
    """Looks up what recorded markets have come to that no frame tells of any more.

    Those were settled in an outage, or their frame is in a gap. Only a settlement is stored: of all
    before it a frame may yet tell more than an answer that lags.
    """

    def __init__(
        self,
        store: Store,
        client: KalshiClient,
        *,
        environment: str,
        shard: str,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._client = client
        self._environment = environment
        self._shard = shard
        self._clock = clock

    async def run(self, followed: Callable[[], Container[str]]) -> None:
        """Look now and then, for ever; what cannot be had now is had at another time."""
        pause = FIRST_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = EACH_SECONDS
            try:
                await self.look(followed())
            except (ExchangeError, StoreUnavailable) as failed:
                log.info("results_not_had", reason=str(failed))

    async def look(self, followed: Container[str]) -> None:
        """Store what the exchange lists as settled of the markets that are not followed."""
        now = self._clock()
        recorded = await unsettled(
            self._store,
            environment=self._environment,
            origin="collector",
            shard=self._shard,
            since=now - LOOKS_BACK,
        )
        asked = [ticker for ticker in recorded if ticker not in followed]
        if not asked:
            return
        settled = [
            replace(
                market,
                series_ticker=recorded[market.ticker].series_ticker,
                fees=recorded[market.ticker].fees,
            )
            for market in await self._client.get_markets(tickers=asked)
            if market.status is MarketStatus.FINALIZED and market.ticker in recorded
        ]
        if settled:
            await save_markets(self._store, settled, at=now)
            log.info("results_stored", markets=len(settled))
