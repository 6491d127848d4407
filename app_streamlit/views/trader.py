"""The trader's page: its state, its money to the last digit, its orders and each decision."""

import time
from typing import Any

import streamlit as st

from app_streamlit import charts, resources
from app_streamlit.formats import money, short, time_of_day
from kalshiflow.store.commands import add_command
from kalshiflow.store.errors import StoreError

ORDER_COLUMNS = (
    "market_ticker",
    "side",
    "limit_price",
    "remaining",
    "filled",
    "status",
    "placed_at",
)


def page() -> None:
    """Draw the page."""
    st.title("Trader")
    _steering()
    _now()
    _feed()


def _steering() -> None:
    pause, resume, _ = st.columns([1, 1, 6])
    if pause.button("Pause", icon=":material/pause:", help="Send no new order until resumed."):
        _command("pause")
    if resume.button("Resume", icon=":material/play_arrow:"):
        _command("resume")


def _command(name: str) -> None:
    try:
        resources.database().ask(
            lambda store: add_command(
                store, name, who="app", why="asked on the trader's page", at=time.time_ns()
            )
        )
    except (StoreError, TimeoutError) as failed:
        st.error(f"The command was not stored: {failed}")
    else:
        st.toast(f"Asked the trader to {name}.")


@st.fragment(run_every="1s")
def _now() -> None:
    feed = resources.trader()
    with feed.lock:
        state, status, connected = dict(feed.state), dict(feed.status), feed.connected
    if not connected:
        st.warning(
            "The trader does not answer. Start it with `kalshiflow up` or `python -m trader`; "
            "this page comes alive by itself.",
            icon=":material/link_off:",
        )
        return
    metrics = status.get("metrics") or {}
    cells = st.columns([3, 4, 3, 4, 3])
    cells[0].metric("State", status.get("state", "–"))
    cells[1].metric("Cash", money(state.get("cash_balance")))
    cells[2].metric("Reserved", money(state.get("promised_cash")))
    cells[3].metric("Portfolio value", money(state.get("portfolio_value")))
    cells[4].metric("Policy", metrics.get("policy_version") or "none: holding")
    positions, orders = state.get("positions") or [], state.get("open_orders") or []
    left, right = st.columns([3, 2])
    with left:
        st.subheader("Positions")
        if positions:
            st.dataframe(
                [{**row, "side": row.get("side") or "flat"} for row in positions], hide_index=True
            )
        else:
            st.caption("Flat.")
    with right:
        st.subheader("Open orders")
        if orders:
            st.dataframe(orders, hide_index=True, column_order=ORDER_COLUMNS)
        else:
            st.caption("None.")


@st.fragment(run_every="1s")
def _feed() -> None:
    feed = resources.trader()
    with feed.lock:
        actions = list(feed.actions)
        transitions = list(feed.transitions)
    st.subheader("Decisions")
    only_acting = st.toggle("Hide HOLD", key="hide_hold")
    shown = [row for row in reversed(actions) if not only_acting or row["action"]["action_id"] != 0]
    left, right = st.columns([3, 1])
    with left:
        if shown:
            st.dataframe([_action(row) for row in shown], hide_index=True, height=320)
        else:
            st.caption("None.")
    with right:
        counts: dict[str, int] = {}
        for row in actions:
            name = row["action"]["action_name"]
            counts[name] = counts.get(name, 0) + 1
        if counts:
            st.altair_chart(charts.histogram(counts))
        for move in reversed(transitions[-6:]):
            st.caption(
                f"{time_of_day(move.get('timestamp'))} {move['from_state']} → {move['to_state']}"
            )


def _action(row: dict[str, Any]) -> dict[str, Any]:
    action = row["action"]
    result = row.get("execution_result") or {}
    return {
        "time": time_of_day(row.get("timestamp")),
        "market": row["market_ticker"],
        "action": action["action_name"],
        "contracts": action.get("quantity") or "",
        "limit": action.get("limit_price") or "",
        "result": result.get("status") or result.get("reason"),
        "policy": row.get("policy_version"),
        "decision": short(row.get("decision_id"), 8),
    }
