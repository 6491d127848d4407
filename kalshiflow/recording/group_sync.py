"""Group commit: one fdatasync at a time, in a thread, for all that was written meanwhile."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from kalshiflow.recording.spool_errors import SpoolError

PACE_SECONDS = 0.001  # between the beginnings of two syncs: more of them would only cost


class GroupSync:
    """Knows which records would survive a loss of power, and makes more of them do so."""

    def __init__(self, durable: int) -> None:
        self.durable = durable
        self._failed: SpoolError | None = None
        self._dirty = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def wrote(self) -> None:
        """Say that there is something to sync."""
        self._dirty.set()

    def reach(self, position: int) -> None:
        """Take note that all records up to a position are durable."""
        self.durable = max(self.durable, position)
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for wanted, future in waiting:
                if wanted > self.durable:
                    self._waiting.append((wanted, future))
                elif not future.done():
                    future.set_result(None)

    async def until(self, position: int) -> None:
        """Wait until a record is durable; raises `SpoolError` where syncing has failed."""
        if self._failed is not None:
            raise self._failed
        if position > self.durable:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((position, future))
            await future

    async def keep(self, sync: Callable[[], int]) -> None:
        """Sync for ever; `sync` makes all that is written durable and gives its last position.

        It runs in a thread, and so does the pause before it: what is written meanwhile goes along.
        Raises `SpoolError` where the disk refuses: what it holds is not known then (its cache may
        have dropped what it could not write), so that a sync is never tried again.
        """
        loop = asyncio.get_running_loop()
        began = -PACE_SECONDS

        def paced() -> int:
            nonlocal began
            time.sleep(max(0.0, began + PACE_SECONDS - time.monotonic()))
            began = time.monotonic()
            return sync()

        with ThreadPoolExecutor(1, "spool-sync") as executor:
            while True:
                await self._dirty.wait()
                self._dirty.clear()
                try:
                    # One that has begun is left to end by itself.
                    position = await asyncio.shield(loop.run_in_executor(executor, paced))
                except OSError as refused:
                    failed = SpoolError(f"the disk of the spool fails: {refused}")
                    self._fail(failed)
                    raise failed from refused
                self.reach(position)

    def _fail(self, failed: SpoolError) -> None:
        self._failed = failed
        for _position, future in self._waiting:
            if not future.done():
                future.set_exception(failed)
        self._waiting.clear()
