"""Store recordings that others made, or that we kept in files, as sessions with a certificate."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kalshiflow.exchange.capture import CaptureError
from kalshiflow.recording import import_captures as captures
from kalshiflow.recording import import_segments as segments
from kalshiflow.recording.import_markets import described_markets
from kalshiflow.recording.notes import Connected, Rotated, decode_note
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Kind, Record, SpoolDamaged
from kalshiflow.store.batch import Batch
from kalshiflow.store.certificate import Certificate
from kalshiflow.store.closing import certify_session
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.ingest import commit_batch, spool_position
from kalshiflow.store.read import get_session

BATCH_ROWS = 15_000
_DIGITS = 8
_CHUNK_BYTES = 2**20


class ImportRefused(ValueError):
    """A file that cannot be imported, or was before; says which and what to do."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to read what a file does not tell.

    `environment` is the exchange it was recorded from; `no_prices_are_yes` says which prices the NO
    side carries (`None`: what the file says, or what makes more sense); `again` imports a file once
    more that is in the database already.
    """

    environment: str
    no_prices_are_yes: bool | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: its sessions' certificates, and what none of them can prove."""

    path: Path
    certificates: tuple[Certificate, ...]
    cannot_know: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """A file as the records of a spool of its own; the first `quiet` make no rows."""

    name: str
    session_ids: tuple[str, ...]
    records: Callable[[], Iterator[Record]]
    count: int
    quiet: int = 0
    cannot_know: tuple[str, ...] = ()


async def import_captures(
    store: Store,
    files: Sequence[Path],
    wishes: Wishes,
    tell: Callable[[Imported], None] = lambda _: None,
    *,
    batch_rows: int = BATCH_ROWS,
) -> list[Imported]:
    """Import files one after the other; `tell` hears of each that is done; rows are
    committed by `batch_rows`.

    What an import that was broken off has stored is not stored again: the next one goes on from
    there. Raises `ImportRefused` for a file that holds no recording or was imported before, and
    `StoreUnavailable`.
    """
    done = []
    for path in files:
        imported = await _import(store, path, wishes, batch_rows)
        tell(imported)
        done.append(imported)
    return done


async def _import(store: Store, path: Path, wishes: Wishes, batch_rows: int) -> Imported:
    sha256 = _sha256(path)
    time = 0
    while True:
        time += 1
        try:
            source = _source(path, f"import:{sha256}" + f":{time}" * (time > 1), wishes)
        except (CaptureError, SpoolDamaged) as unreadable:
            raise ImportRefused(str(unreadable)) from unreadable
        stored = await _closed(store, source)
        if stored is None:
            break
        if not wishes.again:
            raise ImportRefused(
                f"{path} is in the database already, as {', '.join(stored)}; "
                f"`--again` imports it once more"
            )
    await _ingest(store, source, batch_rows)
    certificates = [
        await certify_session(store, session_id)
        for session_id in await _present(store, source.session_ids)
    ]
    return Imported(path, tuple(certificates), source.cannot_know)


async def _closed(store: Store, source: _Source) -> list[str] | None:
    """Give the sessions that a source already is, `None` where it is not, or not completely."""
    if await spool_position(store, source.name) < source.count:
        return None
    present = await _present(store, source.session_ids)
    for session_id in present:
        if (await get_session(store, session_id)).status == "active":
            return None
    return present


async def _present(store: Store, session_ids: Sequence[str]) -> list[str]:
    present = []
    for session_id in session_ids:
        try:
            present.append((await get_session(store, session_id)).session_id)
        except NotRecorded:  # it brought no book, and so left nothing
            continue
    return present


async def _ingest(store: Store, source: _Source, batch_rows: int) -> None:
    committed = await spool_position(store, source.name)
    recorder = Recorder()
    for record in source.records():
        if recorder.batch is None and record.position > max(committed, source.quiet):
            recorder.batch = Batch(after=committed, position=committed)
        if record.kind == Kind.CHECKPOINT:
            recorder = Recorder.restore(record.content, record.position)
            continue
        recorder.take(record)
        if recorder.batch is not None and recorder.batch.count >= batch_rows:
            await commit_batch(store, source.name, recorder.batch, None)
            recorder.batch = Batch(after=record.position, position=record.position)
    if recorder.batch is not None:
        await commit_batch(store, source.name, recorder.batch, None)


def _source(path: Path, name: str, wishes: Wishes) -> _Source:
    if not path.is_file():
        raise ImportRefused(f"{path} is no file")
    return _segment(path, name) if segments.is_segment(path) else _capture(path, name, wishes)


def _capture(path: Path, name: str, wishes: Wishes) -> _Source:
    found = captures.survey(path)
    if not any(part.snapshots for part in found.parts):
        raise ImportRefused(
            f"{path} holds no order book snapshot of Kalshi's; give recorded WebSocket frames, one "
            f"JSON object on each line, one of our captures, or a segment of a spool"
        )
    described = described_markets(path)
    markets = captures.markets_of(found, described)
    uses_yes_price, why = captures.price_scale(path, markets, wishes.no_prices_are_yes)
    beginnings = [
        captures.beginning(
            _session_id(part.started_at, f"{name} {number}"),
            part,
            markets,
            environment=wishes.environment,
            uses_yes_price=uses_yes_price,
            unknown=captures.cannot_know(found, part, why, described),
        )
        for number, part in enumerate(found.parts)
    ]
    unknown = dict.fromkeys(sentence for note in beginnings for sentence in note.cannot_know)
    return _Source(
        name,
        tuple(note.session_id for note in beginnings),
        lambda: captures.records(found, beginnings),
        found.records,
        cannot_know=tuple(unknown),
    )


def _segment(path: Path, name: str) -> _Source:
    at = next((record.at for record in segments.records(path, str)), 0)

    def named(session_id: str) -> str:
        return _session_id(at, f"{name} {session_id}")

    ids: list[str] = []
    count, has_frames = 0, False
    for count, record in enumerate(segments.records(path, named), 1):  # noqa: B007
        has_frames |= record.kind == Kind.FRAME
        if record.kind == Kind.NOTE:
            note = decode_note(record.content)
            if isinstance(note, Connected | Rotated):
                ids.append(note.session_id)
    if not has_frames:
        raise ImportRefused(f"{path} is a segment of a spool without any frame")
    return _Source(
        name,
        tuple(ids),
        lambda: segments.records(path, named),
        count,
        segments.quiet_records(path),
        (segments.OTHERS_END,),
    )


def _session_id(at: int, what: str) -> str:
    """Give a session's id: the same one whenever the same file is imported as the same."""
    moment = datetime.fromtimestamp(at // 10**9, UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{hashlib.sha256(what.encode()).hexdigest()[:_DIGITS]}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as unreadable:
        raise ImportRefused(f"{path} cannot be read: {unreadable.strerror}") from unreadable
    return digest.hexdigest()
