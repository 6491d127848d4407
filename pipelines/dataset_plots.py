"""Plots of a dataset: what it covers, when it was recorded, how its features lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.plots import drawn
from pipelines.times import NANOSECONDS, utc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_MARKETS = 40
MOST_HOURS = 96
MOST_SESSIONS = 60
_HOUR = 3_600 * NANOSECONDS


@dataclass(frozen=True, slots=True)
class Spread:
    """How a feature lies; `is_recorded` where it speaks of the market, not of an account."""

    name: str
    mean: float
    deviation: float
    lowest: float
    highest: float
    is_recorded: bool


def heat_map(cells: Mapping[tuple[str, int], int], unit: str, title: str) -> str:
    """Draw a number for each market and hour; `cells` is by (market, beginning of the hour).

    The busiest markets and the latest hours are shown where there are more than fit.
    """
    totals: dict[str, int] = {}
    for (market, _), value in cells.items():
        totals[market] = totals.get(market, 0) + value
    markets = sorted(sorted(totals, key=lambda name: (-totals[name], name))[:MOST_MARKETS])
    hours = sorted({hour for _, hour in cells})[-MOST_HOURS:]

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        grid = [[cells.get((market, hour), 0) for hour in hours] for market in markets]
        if not grid:
            return
        image = axes.imshow(grid, aspect="auto", cmap="viridis", interpolation="nearest")
        axes.set_yticks(range(len(markets)), markets, fontsize=min(7, 240 / len(markets)))
        shown = range(0, len(hours), -(-len(hours) // 8))
        axes.set_xticks(list(shown), [utc(hours[place])[5:16] for place in shown], fontsize=6)
        axes.set_xlabel("hour of market time, UTC")
        figure.colorbar(image, label=unit)

    return drawn(draw, title)


def timeline(
    sessions: Sequence[tuple[str, int, int]], split_at: int, evaluates_from: int, title: str
) -> str:
    """Draw each session's time, (name, from, to), and what is learned from and evaluated on."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        shown = sessions[-MOST_SESSIONS:]
        begin = min(start for _, start, _ in shown)
        for row, (_, start, end) in enumerate(shown):
            _stretch(axes, row, start, min(end, split_at), begin, "tab:blue")
            _stretch(axes, row, max(start, split_at), min(end, evaluates_from), begin, "tab:red")
            _stretch(axes, row, max(start, evaluates_from), end, begin, "tab:green")
        for colour, part in (("blue", "learned from"), ("red", "embargo"), ("green", "evaluated")):
            axes.plot([], [], color=f"tab:{colour}", linewidth=5, label=part)
        axes.axvline((split_at - begin) / NANOSECONDS, color="black", linewidth=0.8)
        axes.set_yticks(range(len(shown)), [name for name, _, _ in shown], fontsize=5)
        axes.invert_yaxis()
        axes.set_xlabel(f"seconds of market time since {utc(begin)}")
        axes.legend(fontsize=6, loc="lower left")

    return drawn(draw, title)


def features(spreads: Sequence[Spread], title: str) -> str:
    """Draw each feature's range, its mean and one standard deviation to both sides."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for place, spread in enumerate(spreads):
            colour = "tab:blue" if spread.is_recorded else "tab:orange"
            axes.plot([place] * 2, [spread.lowest, spread.highest], color="0.8", linewidth=3)
            low, high = spread.mean - spread.deviation, spread.mean + spread.deviation
            axes.plot([place] * 2, [low, high], color=colour, linewidth=3)
            axes.plot(place, spread.mean, ".", color="black", markersize=3)
        names = [spread.name for spread in spreads]
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=5)
        axes.set_ylim(-1.05, 1.05)
        axes.set_ylabel("range, mean ± standard deviation", fontsize=7)

    return drawn(draw, title)


def _stretch(axes: "Axes", row: int, start: int, end: int, begin: int, colour: str) -> None:
    if end > start:
        axes.barh(
            row, (end - start) / NANOSECONDS, 0.8, (start - begin) / NANOSECONDS, color=colour
        )
