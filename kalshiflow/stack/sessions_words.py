"""Sessions and their certificates in words and tables, for people."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from kalshiflow.market.book import Book
from kalshiflow.market.events import Side
from kalshiflow.market.units import price_to_dollars, quantity_to_contracts
from kalshiflow.store.certificate import Certificate, SidSequence
from kalshiflow.store.moments import show_instant, show_span
from kalshiflow.store.recorded import SessionRow

NAMED_AT_MOST = 8


def sessions_table(sessions: Iterable[SessionRow]) -> Table:
    """Give one line for each session."""
    table = Table(box=None, header_style="bold")
    for name in ("session", "origin", "status", "verdict", "began (UTC)", "lasted"):
        table.add_column(name, no_wrap=True)
    for name in ("markets", "frames"):
        table.add_column(name, justify="right")
    table.add_column("why")
    for session in sessions:
        table.add_row(
            session.session_id,
            session.origin,
            session.status,
            session.verdict or "–",
            _clock(session.started_at),
            "–" if session.ended_at is None else show_span(session.ended_at - session.started_at),
            str(len(session.markets)),
            f"{session.frames:,}",
            escape(session.verdict_reason or session.end_reason or ""),
        )
    return table


def session_lines(session: SessionRow, certificate: Certificate | None) -> list[str]:
    """Tell of a session and of what its certificate proves, a sentence a line."""
    until = (
        "and is still open"
        if session.ended_at is None
        else f"to {show_instant(session.ended_at)}"
        f" ({show_span(session.ended_at - session.started_at)})"
    )
    why = f" ({session.verdict_reason})" if session.verdict_reason else ""
    where = f"{session.environment}, shard {session.shard}, epoch {session.epoch}"
    lines = [
        f"{session.session_id}: {session.status}, verdict {session.verdict or 'open'}{why}",
        f"recorded by the {session.origin} on {where}",
        f"from {show_instant(session.started_at)} {until}",
    ]
    if session.follows:
        lines.append(f"goes on from {session.follows} at a rotation")
    if session.end_reason:
        lines.append(f"ended: {session.end_reason}")
    if session.traded:
        who = "its recorder's own orders are" if session.origin == "import" else "our own trader is"
        lines.append(f"{who} in it")
    if certificate is None:
        return [*lines, f"{session.frames:,} frames are stored; no certificate is drawn yet"]
    return [*lines, *_proof(certificate), *_times(certificate), *_rest(certificate)]


def coverage_table(certificate: Certificate, most: int) -> Table:
    """Give the markets with the share of their time with a trusted book, worst first."""
    table = Table(box=None, header_style="bold")
    table.add_column("market", no_wrap=True)
    table.add_column("book trusted", justify="right")
    table.add_column("not trusted", justify="right")
    worst = sorted(certificate.coverage.items(), key=lambda found: (found[1], found[0]))
    for ticker, share in worst[:most]:
        stale = certificate.stale_seconds.get(ticker)
        table.add_row(
            escape(ticker), f"{share:.2%}", "–" if stale is None else show_span(round(stale * 1e9))
        )
    if len(worst) > most:
        table.add_row(f"… {len(worst) - most} more, none worse", "", "")
    return table


def book_table(book: Book, levels: int) -> Table:
    """Give both sides of a book, best levels first."""
    table = Table(box=None, header_style="bold")
    for name in ("bid size", "bid", "ask", "ask size"):
        table.add_column(name, justify="right")
    bids, asks = (book.levels(side, levels) for side in Side)
    for place in range(max(len(bids), len(asks))):
        bid = _level(bids[place]) if place < len(bids) else ("", "")
        ask = _level(asks[place]) if place < len(asks) else ("", "")
        table.add_row(bid[1], bid[0], ask[0], ask[1])
    return table


def _proof(proof: Certificate) -> list[str]:
    numbered = f"numbered {proof.first_frame} to {proof.last_frame}" if proof.frames else "none"
    whole = "each once" if proof.whole else "NOT each once"
    kinds = {
        "deltas": proof.deltas,
        "snapshots": proof.snapshots,
        "trades": proof.trades,
        "lifecycle events": proof.lifecycle,
        "other frames": proof.other_frames,
        "bad frames": proof.bad_frames,
    }
    told = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    return [
        f"frames: {proof.frames:,}, {numbered}, {whole}: {told}",
        f"besides: {proof.seam_snapshots:,} seam books, {proof.periodic_snapshots:,} periodic",
        *(f"sequence {_sequence(one)}" for one in proof.sequences),
        _gaps(proof),
        f"closing books: sha256 {proof.books_sha256 or 'unknown, the rows cannot be replayed'}",
    ]


def _sequence(one: SidSequence) -> str:
    missing = sum(high - low + 1 for low, high in one.missing)
    seqs = "unnumbered" if one.first is None else f"{one.first:,} to {one.last:,}"
    lost = f", {missing:,} missing in {len(one.missing)} ranges" if missing else ""
    return f"of sid {one.sid} ({one.channel}): {one.rows:,} rows, {seqs}{lost}: {one.finding}"


def _gaps(proof: Certificate) -> str:
    if not (proof.gaps or proof.bad_frames or proof.grid_gaps):
        return "gaps: none"
    slowest = proof.slowest_recovery
    mended = "" if slowest is None else f", the slowest mended after {slowest:g} s"
    parts = (
        f"{proof.gaps:,} in the sequence ({proof.missing_frames:,} frames never came)",
        f"{proof.bad_frames:,} frames that could not be used ({proof.crossed:,} of them crossed)",
        f"{proof.grid_gaps:,} at a change of grid",
        f"{proof.unrecovered:,} not mended{mended}",
    )
    return f"gaps: {', '.join(parts)}"


def _times(proof: Certificate) -> list[str]:
    lines = [
        f"books not trusted: {show_span(round(proof.total_stale_seconds * 1e9))} over all markets"
    ]
    if proof.outages:
        lines.append(
            f"not connected before: {proof.outages}, {proof.outage_seconds:g} s; "
            "what was missed then is not known"
        )
    if proof.message_age_p50 is not None and proof.message_age_p99 is not None:
        lines.append(
            f"message age, by the exchange's clock and ours: p50 "
            f"{show_span(proof.message_age_p50)}, p99 {show_span(proof.message_age_p99)}"
        )
    return lines


def _rest(proof: Certificate) -> list[str]:
    lines = [f"markets: {proof.markets:,}"]
    for what, tickers in (
        ("joined later", proof.joined),
        ("released", proof.released),
        ("without a snapshot", proof.without_snapshot),
    ):
        if tickers:
            lines.append(f"{what}: {len(tickers)} ({_some(tickers)})")
    if proof.audits:
        told = ", ".join(f"{count:,} {verdict}" for verdict, count in proof.audits.items())
        lines.append(f"audits against the exchange's own books: {told}")
    return lines + [f"cannot be known: {sentence}" for sentence in proof.cannot_know]


def _some(names: Sequence[str]) -> str:
    more = f", … {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def _level(level: tuple[Any, Any]) -> tuple[str, str]:
    return price_to_dollars(level[0]), quantity_to_contracts(level[1])


def _clock(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 10**9, UTC):%Y-%m-%d %H:%M:%S}"
