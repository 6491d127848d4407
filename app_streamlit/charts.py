"""The app's charts: small, dark, and drawn from plain rows."""

from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt

GREEN = "#3ddc97"
RED = "#ff6b6b"
BLUE = "#58a6ff"
GREY = "#5b6875"
ROW_HEIGHT = 30
LEVEL_HEIGHT = 20


def line(rows: list[dict[str, Any]], y: str, title: str, height: int = 160) -> alt.Chart:
    """Draw `y` over each row's `at` (a datetime)."""
    return (
        alt.Chart(alt.Data(values=_json(rows)))
        .mark_area(line={"color": GREEN}, color=GREEN, opacity=0.15)
        .encode(
            x=alt.X("at:T", title=None, axis=alt.Axis(grid=False, format="%H:%M:%S")),
            y=alt.Y(f"{y}:Q", title=title, axis=alt.Axis(gridOpacity=0.15)),
        )
        .properties(height=height)
    )


def ladder(book: Mapping[str, Mapping[str, str]], depth: int = 10) -> alt.Chart:
    """Draw the best `depth` levels of both sides as bars, the highest price on top."""
    bids = sorted(book.get("yes_bids", {}).items(), key=lambda level: -float(level[0]))[:depth]
    asks = sorted(book.get("yes_asks", {}).items(), key=lambda level: float(level[0]))[:depth]
    rows = [
        {"price": price, "contracts": float(size), "side": side}
        for side, levels in (("bid", bids), ("ask", asks))
        for price, size in levels
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(size=12, cornerRadius=2)
        .encode(
            y=alt.Y(
                "price:N",
                sort="descending",
                title="YES price",
                axis=alt.Axis(labelOverlap=False),
            ),
            x=alt.X("contracts:Q", title="contracts", axis=alt.Axis(gridOpacity=0.15)),
            color=alt.Color(
                "side:N",
                scale=alt.Scale(domain=["bid", "ask"], range=[GREEN, RED]),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=["side:N", "price:N", "contracts:Q"],
        )
        .properties(height=2 * depth * LEVEL_HEIGHT)
    )


def intervals(rows: list[dict[str, Any]], unit: str) -> alt.LayerChart:
    """Draw each row's `value` with its interval `low` to `high`, by `name`, and a line at zero."""
    base = alt.Chart(alt.Data(values=rows))
    names = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelOverlap=False))
    bars = base.mark_rule(color=BLUE, strokeWidth=3).encode(
        y=names, x=alt.X("low:Q", title=unit), x2="high:Q"
    )
    points = base.mark_point(color=GREEN, filled=True, size=90).encode(y=names, x="value:Q")
    zero = (
        alt.Chart(alt.Data(values=[{"zero": 0}]))
        .mark_rule(color=GREY, strokeDash=[4, 4])
        .encode(x="zero:Q")
    )
    return (bars + points + zero).properties(height=60 + ROW_HEIGHT * len(rows))


def histogram(counts: Mapping[str, int], height: int = 200) -> alt.Chart:
    """Draw one bar per name."""
    rows = [{"name": name, "count": count} for name, count in counts.items()]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=BLUE, cornerRadius=2)
        .encode(
            y=alt.Y("name:N", title=None, sort=None),
            x=alt.X("count:Q", title=None, axis=alt.Axis(gridOpacity=0.15)),
            tooltip=["name:N", "count:Q"],
        )
        .properties(height=height)
    )


def _json(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "at": row["at"].isoformat()} for row in rows]
