"""What the demo found, and which of it must hold: values in, one table out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from kalshiflow.market.units import cash_to_dollars
from kalshiflow.stack.demo_world import AccountView
from kalshiflow.store.certificate import Certificate
from kalshiflow.store.read import SessionRow
from kalshiflow.store.training import Promotion, TrainingRun

USABLE = ("ok", "gaps")


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table: what was found, and whether it holds (None: no condition)."""

    name: str
    found: str
    holds: bool | None = None
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the demo asks of a run beyond what always must hold."""

    sessions: int
    markets: int
    fills: int


@dataclass(frozen=True, slots=True)
class CaptureCheck:
    """The comparison of a recorded capture with its file."""

    deltas_in_file: int
    deltas_stored: int
    markets: int
    books_that_differ: Sequence[str] = ()


@dataclass(slots=True)
class Found:
    """Everything that the demo looked at."""

    wanted: Wanted
    sessions: Sequence[SessionRow] = ()
    certificates: Sequence[Certificate] = ()
    frames_received: int = 0
    session_runs: int = 0
    rows_to_learn: int = 0
    rows_to_judge: int = 0
    training: TrainingRun | None = None
    promotion: Promotion | None = None
    trader: Mapping[str, Any] = field(default_factory=dict)
    journal_decisions: int = 0
    decisions_remade: int = 0
    journal_orders: int = 0
    orders_traced: int = 0
    ours: AccountView | None = None
    theirs: AccountView | None = None
    capture: CaptureCheck | None = None
    left_running: Sequence[str] = ()


def checks(found: Found) -> list[Check]:
    """Judge what was found."""
    return [
        *_recording(found),
        *_capture(found.capture),
        *_learning(found),
        *_trading(found),
        *_money(found),
        Check(
            "left running",
            ", ".join(found.left_running) or "nothing",
            not found.left_running,
            "nothing",
        ),
    ]


def table(rows: Sequence[Check]) -> Table:
    """Show the rows, each with its verdict."""
    shown = Table(title="The whole loop")
    for heading in ("", "what", "found"):
        shown.add_column(heading)
    for row in rows:
        mark = "" if row.holds is None else "[green]✓" if row.holds else "[red]✗"
        wanted = "" if row.holds is not False else f" [red](wanted: {row.wanted})"
        shown.add_row(mark, row.name, f"{row.found}{wanted}")
    return shown


def _recording(found: Found) -> list[Check]:
    untraded = [one for one in found.sessions if not one.traded]
    stored = sum(one.frames for one in found.certificates)
    markets = min((len(one.markets) for one in found.sessions), default=0)
    proven = sum(one.whole and one.verdict in USABLE for one in found.certificates)
    gaps = sum(one.gaps + one.bad_frames for one in found.certificates)
    wanted = found.wanted
    return [
        Check(
            "sessions recorded",
            f"{len(untraded)} to learn from, {len(found.sessions) - len(untraded)} while trading",
            len(untraded) >= wanted.sessions,
            f"at least {wanted.sessions} to learn from",
        ),
        Check("markets in each", str(markets), markets >= wanted.markets, f"{wanted.markets}"),
        Check(
            "sessions proven whole from their rows",
            f"{proven} of {len(found.certificates)}, {gaps} gaps",
            proven == len(found.certificates) > 0,
            "all",
        ),
        Check(
            "frames received = stored",
            f"{found.frames_received:,} = {stored:,}",
            found.frames_received == stored > 0,
            "the same number",
        ),
    ]


def _capture(capture: CaptureCheck | None) -> list[Check]:
    if capture is None:
        return []
    differ = ", ".join(capture.books_that_differ)
    equal = capture.markets - len(capture.books_that_differ)
    return [
        Check(
            "deltas in the file = stored",
            f"{capture.deltas_in_file:,} = {capture.deltas_stored:,}",
            capture.deltas_in_file == capture.deltas_stored,
            "the same number",
        ),
        Check(
            "last books, file = database",
            f"{equal} of {capture.markets} markets equal",
            not capture.books_that_differ,
            f"all; these differ: {differ}",
        ),
    ]


def _learning(found: Found) -> list[Check]:
    training, promotion = found.training, found.promotion
    if training is None or promotion is None:
        return [Check("policy", "none", False, "one that was promoted")]
    untraded = sum(not one.traded for one in found.sessions)
    rows = (training.evaluation or {}).get("rows", [])
    return [
        Check(
            "Dagster's runs of sessions",
            f"{found.session_runs} of {untraded} sessions to learn from",
            found.session_runs == untraded,
            "one for each",
        ),
        Check(
            "training rows",
            f"{found.rows_to_learn:,} to learn from, {found.rows_to_judge:,} later ones to judge",
            found.rows_to_learn > 0 and found.rows_to_judge > 0,
            "both above 0",
        ),
        *_evaluation(rows),
        Check(
            "policy promoted",
            f"version {promotion.model_version} as {promotion.kind}: {promotion.why}",
            promotion.model_version == training.model_version,
            f"version {training.model_version}, which was trained",
        ),
    ]


def _evaluation(rows: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Show the comparison on later market time, in dollars per market with 95% intervals."""
    return [Check(f"evaluation of {row['name']}", _figures(row)) for row in rows]


def _figures(row: Mapping[str, Any]) -> str:
    low, high = row["low_dollars"], row["high_dollars"]
    between = (
        "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f} with 95% confidence]"
    )
    return (
        f"{row['pnl_dollars']:+.3f} dollars per market{between}, {row['fills']} fills, "
        f"{row['fees_dollars']:.2f} dollars of fees"
    )


def _trading(found: Found) -> list[Check]:
    trader, promotion = found.trader, found.promotion
    policy = trader.get("policy") or {}
    version = None if promotion is None else promotion.model_version
    fingerprint = None if promotion is None else promotion.fingerprint
    orders = trader.get("orders", {})
    return [
        Check(
            "policy that trades",
            f"version {policy.get('version')}, fingerprint {str(policy.get('fingerprint'))[:16]}",
            (policy.get("version"), policy.get("fingerprint")) == (version, fingerprint),
            f"version {version}, fingerprint {str(fingerprint)[:16]}",
        ),
        Check(
            "decisions made = in the journal",
            f"{trader.get('decisions', 0):,} = {found.journal_decisions:,}",
            trader.get("decisions", 0) == found.journal_decisions > 0,
            "the same number, above 0",
        ),
        Check(
            "decisions made again from the tape",
            f"{found.decisions_remade:,} of {found.journal_decisions:,}",
            found.decisions_remade == found.journal_decisions,
            "all",
        ),
        Check("actions", ", ".join(f"{n} {c:,}" for n, c in trader.get("actions", {}).items())),
        Check("orders", ", ".join(f"{count} {name}" for name, count in orders.items())),
        Check(
            "orders traced to decision, policy, dataset and sessions",
            f"{found.orders_traced:,} of {found.journal_orders:,}",
            found.orders_traced == found.journal_orders,
            "all",
        ),
        Check(
            "fills",
            str(trader.get("fills", 0)),
            trader.get("fills", 0) >= found.wanted.fills,
            f"at least {found.wanted.fills}",
        ),
        Check(
            "account's worth, if closed at the best prices",
            f"{trader.get('portfolio_value')} dollars",
        ),
        Check("fees paid", f"{trader.get('fees', '0')} dollars"),
        Check(
            "differences found when squaring with the exchange",
            str(trader.get("drifts", 0)),
            not trader.get("drifts", 0),
            "none",
        ),
    ]


def _money(found: Found) -> list[Check]:
    ours, theirs = found.ours, found.theirs
    if ours is None or theirs is None:
        return [Check("accounts", "not compared", False, "the trader's and the venue's, equal")]
    differ = sorted(
        ticker
        for ticker in {*ours.positions, *theirs.positions}
        if ours.positions.get(ticker, 0) != theirs.positions.get(ticker, 0)
    )
    return [
        Check(
            "cash, trader = exchange",
            f"{cash_to_dollars(ours.cash)} = {cash_to_dollars(theirs.cash)} dollars",
            ours.cash == theirs.cash,
            "the same, to the last digit",
        ),
        Check(
            "positions, trader = exchange",
            f"{len(ours.positions)} = {len(theirs.positions)} markets",
            not differ,
            f"the same; these differ: {', '.join(differ)}",
        ),
    ]
