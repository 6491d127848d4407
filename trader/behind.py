"""What the trader's tape records into: a spool, and the recorder that makes rows of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kalshiflow.exchange.feed import Received
from kalshiflow.market.listing import Market
from kalshiflow.recording.notes import Accounted, AnyNote, Connected, encode_note, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Kind, Record, Spool
from kalshiflow.store.rows import AccountChange

ORIGIN = "trader"

Read = Sequence[tuple[bytes, int, Received]]  # frames as they came, when, and what they mean


@dataclass(frozen=True, slots=True)
class Behind:
    """A spool with its recorder, and what is told of each of its sessions.

    `failed` is told what went wrong, after which the tape wants another one. The outage is one that
    the spool knows nothing of. All methods raise whatever goes wrong.
    """

    spool: Spool
    recorder: Recorder
    environment: str
    shard: str
    epoch: int
    failed: Callable[[Exception], None]
    outage_from: int | None = None
    outage_tickers: tuple[str, ...] = ()

    @property
    def session_id(self) -> str | None:
        """Give the session that is being recorded now, if there is one."""
        return None if self.recorder.rows is None else self.recorder.rows.session_id

    def begun(self, session_id: str, markets: Iterable[Market]) -> Connected:
        """Give the note with which a session begins."""
        return Connected(
            session_id=session_id,
            origin=ORIGIN,
            environment=self.environment,
            traded=True,
            markets=listed(markets),
            shard=self.shard,
            epoch=self.epoch,
            outage_from=self.outage_from,
            outage_tickers=list(self.outage_tickers),
        )

    def write(self, read: Read, changes: list[AccountChange], now: int) -> None:
        """Write frames and what became of the account, and then make their rows."""
        spool, recorder = self.spool, self.recorder
        first = spool.position + 1
        for raw, at, _ in read:
            spool.append(Kind.FRAME, at, raw)
        note = Accounted(changes=changes) if changes else None
        if note is not None:
            spool.append(Kind.NOTE, now, encode_note(note))
        spool.flush()
        try:
            for position, (raw, _, received) in enumerate(read, first):
                recorder.add(position, raw, received)
            if note is not None:
                recorder.note(spool.position, now, note)
        except Exception:
            spool.mark_poison(recorder.position + 1)
            raise

    def note(self, note: AnyNote, now: int) -> None:
        """Write a note, and let it have its effect."""
        position = self.spool.append(Kind.NOTE, now, encode_note(note))
        self.spool.flush()
        self.recorder.note(position, now, note)

    def turn_page(self, now: int) -> None:
        """Begin another segment."""
        self.spool.begin_segment(self.recorder.checkpoint(), now)
        self.recorder.take(Record(self.spool.position, Kind.CHECKPOINT, now, b""))
