"""`kalshiflow venue-calibration`: the synthetic exchange's figures beside Kalshi's own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated

import typer

from kalshiflow.market.orders import Role
from kalshiflow.market.units import CENT
from kalshiflow.venue.traders import kalshi_figures as kalshi
from kalshiflow.venue.traders.habits import PRESETS
from kalshiflow.venue.traders.measures import Measured, contracts, measure, quantile

MILLISECONDS = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One measure: how to read it off what was measured, Kalshi's figure, and its source."""

    name: str
    ours: Callable[[Measured], str]
    kalshis: str
    source: str


def table(measured: Sequence[Measured], names: Sequence[str]) -> str:
    """Write the comparison as a Markdown table."""
    lines = [
        f"| measure | {' | '.join(names)} | Kalshi | source |",
        "|---" * (len(names) + 3) + "|",
    ]
    for row in rows():
        ours = " | ".join(row.ours(one) for one in measured)
        lines.append(f"| {row.name} | {ours} | {row.kalshis} | {row.source} |")
    return "\n".join(lines)


def rows() -> list[Row]:
    """Give all measures: of the busiest markets, of all markets at any moment, of trades."""
    return [*_stream_rows(), *_cross_rows(), *_trade_rows()]


def _stream_rows() -> list[Row]:
    inxd = kalshi.INXD
    return [
        Row(
            "busiest markets: changes a second",
            lambda m: f"{fmean(s.changes for s in m.busy()) / m.seconds:.1f}",
            f"{kalshi.INXD_CHANGES_A_SECOND}; {kalshi.DEMO_CHANGES_A_SECOND:.1f}",
            f"{inxd}; {kalshi.DEMO}",
        ),
        Row(
            "adds among changes",
            lambda m: _percent(_share(s.adds / max(1, s.changes) for s in m.busy())),
            _percent(kalshi.INXD_ADDS),
            inxd,
        ),
        Row(
            "gap between changes: p50, p90, p99 (s)",
            lambda m: ", ".join(f"{_gap(m, share):.1f}" for share in (0.5, 0.9, 0.99)),
            f"<{kalshi.INXD_GAPS[0]}, {kalshi.INXD_GAPS[1]}, {kalshi.INXD_GAPS[2]}",
            inxd,
        ),
        *(
            Row(
                f"adds, steps behind their side's best: {name}",
                lambda m, low=low, high=high: _percent(_behind(m, low, high)),  # type: ignore[misc]
                _percent(kalshi.INXD_BEHIND[name]),
                inxd,
            )
            for name, low, high in (
                ("better", -1, -1),
                ("at", 0, 0),
                ("1-5", 1, 5),
                ("6-19", 6, 19),
                ("20-", 20, 99),
            )
        ),
        Row(
            "changes for one of a best price",
            lambda m: f"{_total(m, 'changes') / max(1, _total(m, 'best_moves')):.1f}",
            f"{kalshi.INXD_CHANGES_PER_BEST}",
            inxd,
        ),
        Row(
            "populated levels, both sides (median)",
            lambda m: f"{median(n for s in m.busy() for n in s.levels):.0f}",
            f"{kalshi.INXD_LEVELS}",
            inxd,
        ),
        Row(
            "changes of the commonest size",
            lambda m: _percent(_share(max(s.sizes.values()) / max(1, s.changes) for s in m.busy())),
            _percent(kalshi.INXD_COMMONEST_SIZE),
            inxd,
        ),
        Row(
            "busiest markets: spread of 1, 2, 3, 4, 5¢ and more",
            lambda m: _spreads(m, only_busy=True),
            _listed(kalshi.INXD_SPREADS),
            inxd,
        ),
    ]


def _cross_rows() -> list[Row]:
    cross = kalshi.CROSS
    return [
        Row(
            "snapshots two-sided, one-sided, empty",
            lambda m: ", ".join(
                _percent(_share(look.sides == n for look in m.looks)) for n in (2, 1, 0)
            ),
            ", ".join(
                _percent(share)
                for share in (kalshi.CROSS_TWO_SIDED, kalshi.CROSS_ONE_SIDED, kalshi.CROSS_EMPTY)
            ),
            cross,
        ),
        Row(
            "markets never two-sided",
            lambda m: _percent(1 - len({look.ticker for look in m.two_sided()}) / len(m.streams)),
            _percent(kalshi.CROSS_NEVER_QUOTED),
            cross,
        ),
        Row(
            "two-sided: spread of 1, 2, 3, 4, 5¢ and more",
            _spreads,
            _listed(kalshi.CROSS_SPREADS),
            cross,
        ),
        Row(
            "two-sided: mean spread (¢)",
            lambda m: f"{fmean(look.spread for look in m.two_sided()) / CENT:.1f}",
            f"{kalshi.CROSS_SPREAD_MEAN:.1f}",
            cross,
        ),
        Row(
            "mean spread by decile of the mid (¢)",
            lambda m: " ".join(_by_decile(m, fmean, d) for d in range(10)),
            " ".join(f"{spread:.1f}" for spread in kalshi.CROSS_SPREAD_BY_DECILE),
            cross,
        ),
        Row(
            "median spread by decile of the mid (¢)",
            lambda m: " ".join(_by_decile(m, median, d) for d in range(10)),
            " ".join(f"{spread}" for spread in kalshi.CROSS_MEDIAN_BY_DECILE),
            cross,
        ),
        Row(
            "contracts at a touch where the spread is 1¢ (mean)",
            lambda m: f"{contracts(_touches(m)):,.0f}",
            f"{kalshi.CROSS_TOUCH[0]:,} to {kalshi.CROSS_TOUCH[1]:,}",
            cross,
        ),
        Row(
            "markets of an event with 80 % of its changes",
            lambda m: f"{m.strikes_for(0.8):.0f} of 8",
            f"{kalshi.HIGHNY_STRIKES_FOR_80[0]} to {kalshi.HIGHNY_STRIKES_FOR_80[1]} of 6",
            kalshi.HIGHNY,
        ),
        Row(
            "changes that the busiest tenth of the markets has",
            lambda m: _percent(m.top_tenth()),
            "-",
            "-",
        ),
        Row(
            "changes a second over all markets",
            lambda m: f"{m.changes_a_second():.0f} of {len(m.streams)}",
            "-",
            "-",
        ),
    ]


def _trade_rows() -> list[Row]:
    source = kalshi.MAKERS_AND_TAKERS
    return [
        Row(
            "return of takers, of makers",
            lambda m: f"{_return(m, Role.TAKER, 0, 100)}, {_return(m, Role.MAKER, 0, 100)}",
            f"{kalshi.TAKER_RETURN:+.0%}, {kalshi.MAKER_RETURN:+.0%}",
            source,
        ),
        Row(
            "return of takers at 10¢ and less",
            lambda m: _return(m, Role.TAKER, 0, 10),
            f"{kalshi.LONGSHOT_RETURN:+.0%} and worse (all traders)",
            source,
        ),
        Row(
            "return of takers above 70¢",
            lambda m: _return(m, Role.TAKER, 70, 100),
            f"{kalshi.FAVOURITE_RETURNS[0]:+.0%} to {kalshi.FAVOURITE_RETURNS[1]:+.0%} "
            "(all traders)",
            source,
        ),
        Row(
            "return of makers at 50¢ and more",
            lambda m: _return(m, Role.MAKER, 50, 100),
            f"{kalshi.MAKER_FAVOURITE_RETURN:+.1%}",
            source,
        ),
        Row(
            "takers who buy YES",
            lambda m: _percent(_share(b.is_yes for b in m.bought if b.role is Role.TAKER)),
            _percent(kalshi.TAKERS_OF_YES),
            "Bartlett, O'Hara 2026",
        ),
    ]


def _total(measured: Measured, name: str) -> int:
    return sum(getattr(stream, name) for stream in measured.busy())


def _gap(measured: Measured, share: float) -> float:
    return quantile([gap for s in measured.busy() for gap in s.gaps], share) / MILLISECONDS


def _behind(measured: Measured, low: int, high: int) -> float:
    adds = [(steps, n) for s in measured.busy() for steps, n in s.behind.items()]
    return sum(n for steps, n in adds if low <= steps <= high) / max(1, sum(n for _, n in adds))


def _spreads(measured: Measured, *, only_busy: bool = False) -> str:
    busy = {t for t, s in measured.streams.items() if s in measured.busy()} if only_busy else None
    spreads = [
        -(-look.spread // CENT)  # a part of a cent counts as one
        for look in measured.two_sided()
        if busy is None or look.ticker in busy
    ]
    shares = [_share(spread == cents for spread in spreads) for cents in (1, 2, 3, 4)]
    return ", ".join(_percent(share) for share in (*shares, 1 - sum(shares)))


def _touches(measured: Measured) -> list[int]:
    tight = [look for look in measured.two_sided() if look.spread == CENT]
    return [size for look in tight for size in (look.touch[1], look.touch[3])]


def _by_decile(measured: Measured, middle: Callable[[list[float]], float], decile: int) -> str:
    spreads = [look.spread / CENT for look in measured.two_sided() if look.decile == decile]
    return f"{middle(spreads):.1f}" if spreads else "-"


def _return(measured: Measured, role: Role, low: int, high: int) -> str:
    found = measured.returns(role, low, high)
    return "-" if found is None else f"{found:+.1%}"


def _listed(shares: Mapping[str, float]) -> str:
    return ", ".join(_percent(share) for share in shares.values())


def _share(values: Iterable[float]) -> float:
    found = list(values)
    return fmean(found) if found else 0.0


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 or not share else f"{share:.1%}"


def main(
    markets: Annotated[int, typer.Option(min=8, help="Synthetic markets of each preset.")] = 192,
    hours: Annotated[float, typer.Option(min=0.01, help="Market hours.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the traders.")] = 7,
) -> None:
    """Print the synthetic exchange's figures beside Kalshi's, as a Markdown table."""
    names = tuple(PRESETS)
    measured = [measure(PRESETS[name], markets, hours * 3600, seed) for name in names]
    print(f"{markets} markets, {hours:g} market hours, seed {seed}\n")  # noqa: T201
    print(table(measured, names))  # noqa: T201 - a command's words


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    app(prog_name="kalshiflow venue-calibration")
