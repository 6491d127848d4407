"""The collector's page: what is being recorded now, and the proof of what was."""

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from app_streamlit import charts, resources
from app_streamlit.formats import clock, size, span
from kalshiflow.store.errors import StoreError
from kalshiflow.store.read import SessionRow, list_sessions

SHOWN_SESSIONS = 30


def page() -> None:
    """Draw the page."""
    st.title("Collector")
    _now()
    _market()
    st.subheader("Sessions")
    st.caption("Each figure of a certificate is counted from the stored rows.")
    _sessions()


@st.fragment(run_every="1s")
def _now() -> None:
    feed = resources.collector()
    with feed.lock:
        stats = list(feed.stats)
        connection, connected = dict(feed.connection), feed.connected
    if not connected:
        st.warning(
            "The collector does not answer. Start it with `kalshiflow up` or "
            "`python -m streaming`; this page comes alive by itself.",
            icon=":material/link_off:",
        )
        return
    last: dict[str, Any] = stats[-1] if stats else {}
    _state(last, connection)
    _figures(last)
    st.caption(
        f"Session `{last.get('session_id') or connection.get('session_id') or '–'}` · "
        f"shard `{last.get('shard', '–')}` · "
        f"{last.get('snapshots_processed', 0):,} snapshots · "
        f"{last.get('deltas_processed', 0):,} deltas · "
        f"{last.get('trades_processed', 0):,} trades · up {span(last.get('uptime_seconds'))}"
    )
    rows = [
        {
            "at": datetime.fromtimestamp(row["last_update_ms"] / 1000, tz=UTC),
            "rate": row.get("messages_per_second", 0),
        }
        for row in stats
        if row.get("last_update_ms")
    ]
    if rows:
        st.altair_chart(charts.line(rows, "rate", "messages / s"))


def _state(last: dict[str, Any], connection: dict[str, Any]) -> None:
    state = last.get("state") or connection.get("status") or "–"
    cells = st.columns([3, 9])
    cells[0].metric("State", state)
    detail = last.get("detail")
    if detail and last.get("is_well"):
        cells[1].info(detail, icon=":material/radio_button_checked:")
    elif detail:
        cells[1].warning(detail, icon=":material/warning:")
    if trouble := last.get("clock_trouble"):
        st.caption(f"Message ages cannot be told: {trouble}.")


def _figures(last: dict[str, Any]) -> None:
    age = last.get("message_age_ms") or {}
    cells = st.columns([2, 3, 5, 3, 3])
    cells[0].metric("Markets", last.get("markets_active", "–"))
    cells[1].metric("Messages / s", f"{last.get('messages_per_second', 0):,.0f}")
    cells[2].metric(
        "Message age p50 / p99",
        f"{_ms(age.get('p50'))} / {_ms(age.get('p99'))}",
        help="Exchange time to our receiving it.",
    )
    cells[3].metric("Rows written", f"{last.get('db_rows_written', 0):,}")
    cells[4].metric(
        "Waits for the database",
        f"{last.get('records_behind', 0):,}",
        help="Frames and notes that are safe in the spool, and not in the database yet.",
    )
    cells = st.columns([2, 3, 5, 3, 3])
    cells[0].metric(
        "Stale", last.get("markets_stale", 0), help="Markets whose book waits for a snapshot."
    )
    cells[1].metric("Gaps", last.get("gaps", 0))
    cells[2].metric(
        "Connections",
        last.get("connections", 0),
        help="Between two of them lies an outage: what was sent then is unknown.",
    )
    cells[3].metric("Bad frames", last.get("bad_frames", 0))
    cells[4].metric("Spool", size(last.get("spool_bytes")), help="On disk, until it is released.")


@st.fragment(run_every="1s")
def _market() -> None:
    feed = resources.collector()
    with feed.lock:
        markets = sorted(feed.connection.get("markets") or ())
        deltas = list(feed.deltas)
    if not markets:
        return
    ticker = st.selectbox("Market", markets, key="watched_market")
    feed.watch(ticker)
    book = feed.book(ticker)
    left, right = st.columns([2, 3])
    with left:
        if any(book.values()):
            st.altair_chart(charts.ladder(book))
        else:
            st.info("Waiting for the market's book.", icon=":material/hourglass_empty:")
    with right:
        rows = [
            {
                "time": datetime.fromtimestamp(delta["timestamp_ms"] / 1000, tz=UTC).strftime(
                    "%H:%M:%S.%f"
                )[:-3],
                "side": delta["side"],
                "price": delta["price"],
                "change": delta["delta"],
                "size now": delta["new_size"],
            }
            for delta in reversed(deltas)
            if delta["market_ticker"] == ticker
        ]
        st.dataframe(rows, hide_index=True, height=380)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


@st.fragment(run_every="5s")
def _sessions() -> None:
    try:
        sessions = resources.database().ask(
            lambda store: list_sessions(store, limit=SHOWN_SESSIONS)
        )
    except (StoreError, TimeoutError) as failed:
        st.warning(f"The database does not answer: {failed}", icon=":material/database:")
        return
    if not sessions:
        st.info("No session yet. The first one appears when the collector connects.")
        return
    st.dataframe([_session(row) for row in sessions], hide_index=True)


def _session(row: SessionRow) -> dict[str, Any]:
    proof = row.certificate or {}
    lasted = (row.ended_at - row.started_at) / 1e9 if row.ended_at else None
    return {
        "session": row.session_id,
        "status": row.status,
        "verdict": row.verdict or ("to be certified" if row.end_status else "recording"),
        "started (UTC)": clock(row.started_at),
        "lasted": span(lasted),
        "markets": len(row.markets),
        "frames": row.frames,
        "whole": proof.get("whole"),
        "snapshots": proof.get("snapshots"),
        "deltas": proof.get("deltas"),
        "trades": proof.get("trades"),
        "gaps": proof.get("gaps"),
        "missing": proof.get("missing_frames"),
        "outages": proof.get("outages"),
        "stale (s)": proof.get("total_stale_seconds"),
        "cannot know": "; ".join(row.cannot_know) or None,
        "origin": row.origin,
        "traded": row.traded,
        "why": row.verdict_reason or row.end_reason,
    }
