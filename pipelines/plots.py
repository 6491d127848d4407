"""Plots for the pages of Dagster: a PNG inside a line of markdown."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pipelines.times import NANOSECONDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LINES = 8
MOST_POINTS = 400
MOST_BYTES = 75_000  # base64 adds a third, and the event log keeps every plot for ever


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its confidence interval; all in the same unit."""

    name: str
    low: float
    middle: float
    high: float


def mids_and_rate(
    mids: Mapping[str, Sequence[tuple[int, float]]], events: Mapping[int, int], title: str
) -> str:
    """Draw mid prices (dollars) of the busiest markets over all markets' events per second.

    `mids` is (time, mid) by ticker, in UTC nanoseconds; `events` counts by the UTC second.
    """

    def draw(figure: "Figure") -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        start = min(events, default=0) * NANOSECONDS
        busiest = sorted(mids, key=lambda ticker: -len(mids[ticker]))[:MOST_LINES]
        for ticker in sorted(busiest):
            points = thinned(mids[ticker])
            above.step(
                [(time - start) / NANOSECONDS for time, _ in points],
                [mid for _, mid in points],
                where="post",
                linewidth=1,
                label=ticker,
            )
        above.set_ylabel("mid, dollars")
        if busiest:
            above.legend(fontsize=6, ncols=2)
        rate = per_second(events)
        below.fill_between(
            [second for second, _ in rate],
            [each for _, each in rate],
            step="post",
            color="tab:gray",
        )
        below.set_ylabel("events / s")
        below.set_xlabel("seconds of market time")

    return drawn(draw, title)


def comparison(intervals: Sequence[Interval], unit: str, title: str) -> str:
    """Draw one row for each interval, and a line at zero."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        rows = list(reversed(intervals))
        for row, interval in enumerate(rows):
            axes.plot([interval.low, interval.high], [row, row], color="tab:blue", linewidth=2)
            axes.plot(interval.middle, row, "o", color="tab:blue")
        axes.axvline(0, color="tab:gray", linewidth=1)
        axes.set_yticks(range(len(rows)), [interval.name for interval in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(unit)

    return drawn(draw, title)


def bars(values: Mapping[str, float], unit: str, title: str) -> str:
    """Draw one bar for each name."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.bar(list(values), list(values.values()), color="tab:blue")
        axes.tick_params(axis="x", labelsize=7)
        axes.set_ylabel(unit)

    return drawn(draw, title)


def drawn(draw: Callable[["Figure"], None], title: str) -> str:
    """Give the markdown of a figure; a note instead where its picture would be too large."""
    # No pyplot: it keeps global state, and takes twice as long to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4), layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    figure.suptitle(title, fontsize=10)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=80, pil_kwargs={"optimize": True})
    if picture.tell() > MOST_BYTES:
        return f"{title}: the picture would take {picture.tell():,} bytes"
    return f"![{title}](data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()})"


def thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """Keep at most about `MOST_POINTS` points, the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    return [*points[:: -(-len(points) // MOST_POINTS)], points[-1]]


def per_second(events: Mapping[int, int]) -> list[tuple[int, float]]:
    """Give (first second, events per second) of at most `MOST_POINTS` equal bins.

    `events` counts by second.
    """
    if not events:
        return []
    start, end = min(events), max(events)
    width = -(-(end - start + 1) // MOST_POINTS)
    counts = [0] * (-(-(end - start + 1) // width))
    for second, count in events.items():
        counts[(second - start) // width] += count
    return [(number * width, count / width) for number, count in enumerate(counts)]
