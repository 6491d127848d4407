"""Write a session straight into the database: for tests that need one and have no spool."""

from collections.abc import Iterable
from secrets import token_hex

from kalshiflow.market.books import Books
from kalshiflow.market.events import Stamp, TimeSource
from kalshiflow.market.listing import Market
from kalshiflow.store.batch import Batch, NewSession, SessionEnd, new_session_id
from kalshiflow.store.certificate import Certificate
from kalshiflow.store.closing import certify_session
from kalshiflow.store.database import Store
from kalshiflow.store.frames import ReceivedFrame
from kalshiflow.store.ingest import commit_batch
from kalshiflow.store.leases import Lease
from kalshiflow.store.replay import trusted_sha256
from kalshiflow.store.session_rows import SessionRows

__all__ = ["NewSession", "SessionWriter", "new_session_id"]


class SessionWriter:
    """Takes a session's frames (`add`), commits them (`flush`), ends it (`close`).

    Its spool has a name of its own and one record per frame, outage or seam.
    """

    def __init__(self, store: Store, session: NewSession, lease: Lease | None = None) -> None:
        self.session = session
        self.session_id = session.session_id
        self.rows = SessionRows(session)
        self.spool_id = f"test-{token_hex(4)}"
        self.batch = Batch()
        self.inflight: Batch | None = None
        self._store = store
        self._lease = lease
        self._books_hash: str | None = None

    @property
    def frames(self) -> int:
        """Give the number of the last frame added."""
        return self.rows.frames

    def add(self, received: ReceivedFrame, raw: bytes, *, refused: str | None = None) -> None:
        """Add a frame."""
        self.rows.add(self.batch, received, raw, refused=refused)
        self.batch.position += 1

    def add_seam(self, books: Books, *, at: int, market_time: int | None) -> None:
        """Begin with books carried over from the session before."""
        source = TimeSource.RECEIVE if market_time is None else TimeSource.CARRIED
        stamp = Stamp(0, at, at if market_time is None else market_time, source)
        self.rows.add_seam(self.batch, books, stamp)
        self.batch.position += 1

    def add_outage(self, tickers: Iterable[str], *, began_at: int, ended_at: int) -> None:
        """Note that before this session nothing was connected."""
        self.rows.add_outage(self.batch, tickers, began_at=began_at, ended_at=ended_at)
        self.batch.position += 1

    def list_market(self, market: Market, reason: str, *, at: int) -> None:
        """Note that a market is listed so from the next frame on; `joined` ones come into it."""
        if reason == "joined":
            self.rows.join(self.batch, [market], at)
        self.rows.list_market(self.batch, market, reason, frame_no=self.frames + 1, at=at)
        self.batch.position += 1

    async def flush(self) -> int:
        """Commit what was added; where that fails, call it again."""
        if self.inflight is None:
            if self.rows.is_held or not self.batch.position > self.batch.after:
                return 0
            reached = self.batch.position
            self.inflight, self.batch = self.batch, Batch(after=reached, position=reached)
        written = await commit_batch(self._store, self.spool_id, self.inflight, self._lease)
        self.inflight = None
        return written

    def seal(self, books: Books) -> None:
        """Take the hash of the closing books, which may change before `close` is awaited."""
        self._books_hash = trusted_sha256(books)

    async def close(
        self, reason: str, books: Books | None = None, *, at: int | None = None
    ) -> Certificate | None:
        """Commit the rest and close the session; gives `None` where nothing of it was stored."""
        if books is not None:
            self.seal(books)
        if self.rows.is_held:
            return None
        ended_at = at or self.rows.last_at or self.session.started_at
        self.rows.end(self.batch, SessionEnd("closed", reason, ended_at, self._books_hash))
        self.batch.position += 1
        while self.inflight is not None or self.batch.position > self.batch.after:
            await self.flush()
        return await certify_session(self._store, self.session_id)
