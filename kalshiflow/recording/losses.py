"""What a damaged stretch of the spool has taken with it, told as rows; pure."""

from kalshiflow.market.listing import Market
from kalshiflow.recording.recorder import Recorder
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, NewSession, SessionEnd
from kalshiflow.store.replay import BOOK_CHANNEL, Gap, trusted_sha256

LOST = "its records were in a part of the spool that is damaged"


def tell_loss(batch: Batch, before: Recorder | None, after: Recorder) -> set[str]:
    """Put rows into a batch, which begins where the rows end, for what two states lie apart.

    `before` is the state before the damage, if it is known, `after` that of the checkpoint after
    it. Gives the ids of the sessions that have a hole now, and whose books the rows cannot follow.
    """
    holed: set[str] = set()
    old = None if before is None or before.is_held else before.session
    new = None if after.is_held else after.session
    has_ended = old is not None and (new is None or new.session_id != old.session_id)
    # Where the rows go further than that state, they may have its end already.
    if before is not None and old is not None and has_ended and before.position >= batch.after:
        _put(batch, old, before.frames, [_whole_gap(before, before.frames + 1, after)])
        batch.part(old).end = _end(before)
        holed.add(old.session_id)
    if new is not None:
        known = before if old is not None and old.session_id == new.session_id else None
        _put(batch, new, after.frames, _gaps(known, after, new))
        _list(batch, known, after, new)
        holed.add(new.session_id)
    return holed


def _gaps(before: Recorder | None, after: Recorder, session: NewSession) -> list[Gap]:
    """Give the gaps of a session that was open at the damage's end: one for each numbered sid."""
    first = 1 if before is None else before.frames + 1
    if after.feed is None or after.frames < first:
        return [_whole_gap(after, first, after)]
    then = {} if before is None or before.feed is None else before.feed.ledgers()
    found = []
    for sid, ledger in after.feed.ledgers().items():
        expected = session.seams.get(sid, 1)
        if sid in then and then[sid].last is not None:
            expected = (then[sid].last or 0) + 1
        if ledger.last is not None and ledger.last >= expected:
            tickers = set(after.feed.tickers(sid))
            if ledger.channel == BOOK_CHANNEL:
                tickers.update(after.books)  # the rows know none of these books any more
            found.append(
                Gap(
                    frame_no=first,
                    kind="missing",
                    tickers=tuple(sorted(tickers)),
                    reason=f"frames {first} to {after.frames}: {LOST}",
                    started_at=_time(after),
                    channel=ledger.channel,
                    sid=sid,
                    expected=expected,
                    received=ledger.last + 1,
                )
            )
    return found or [_whole_gap(after, first, after)]


def _list(batch: Batch, before: Recorder | None, after: Recorder, session: NewSession) -> None:
    """Tell how markets are listed now, where that may have been told amid the damage only."""
    frame_no = 1 if before is None else before.frames + 1
    grids = dict(session.grids)
    if before is not None:
        grids = {ticker: market.grid for ticker, market in before.markets.items()}
        for ticker in sorted(before.markets.keys() - after.markets.keys()):
            market = before.markets[ticker]
            _put_listing(batch, session, market, "released", frame_no, _time(after))
    for ticker, market in sorted(after.markets.items()):
        if grids.get(ticker) != market.grid:
            batch.part(session).joined[ticker] = market
            _put_listing(batch, session, market, "joined", frame_no, _time(after))


def _put_listing(
    batch: Batch, session: NewSession, market: Market, reason: str, frame_no: int, at: int
) -> None:
    row = rows.listing_row(session.session_id, frame_no, market, reason, at)
    batch.put(rows.LISTINGS, row)


def _whole_gap(state: Recorder, frame_no: int, after: Recorder) -> Gap:
    tickers = tuple(sorted({*state.markets, *state.books}))
    return Gap(frame_no, "missing", tickers, f"what came next: {LOST}", _time(state, after))


def _end(before: Recorder) -> SessionEnd:
    for ticker in before.books:
        before.books.mark_stale(ticker)
    reason = f"its rest is not to be had: {LOST}"
    return SessionEnd("repaired", reason, _time(before), trusted_sha256(before.books))


def _put(batch: Batch, session: NewSession, frames: int, gaps: list[Gap]) -> None:
    for gap in gaps:
        batch.put(rows.GAPS, rows.gap_row(session.session_id, gap))
    batch.part(session).frames = frames


def _time(state: Recorder, other: Recorder | None = None) -> int:
    for one in (state, other):
        if one is not None and one.last_frame_at is not None:
            return one.last_frame_at
    return 0 if state.session is None else state.session.started_at
