"""How the synthetic traders behave: two presets of one model.

`lively` is made to be learned from: every market starts near the middle, is quoted on both sides
and jumps every other minute. `real` is set to Kalshi's own figures (docs/venue-calibration.md):
most markets are as good as decided and quoted on one side only, few carry most of the updates,
and spreads and sizes vary widely.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class MakerTerms:
    """One maker's way of quoting. Prices are in price units, times mean market seconds.

    It quotes at each of `offsets` on either side of its opinion: the value (of `lag` seconds ago
    where it `is_late`), an error of at most `noise` that it draws anew every `think_every`, and at
    most `skew` against its inventory, reached at `skew_at` contracts. Its opinion is rounded to one
    of `centers` points in each step of the grid. Every `refresh_every` it replaces one quote by
    another of one of `sizes` contracts. Quotes stay `gap` steps from the other side's best. An
    eager maker goes up to one step from quotes that are far on the wrong side of its own, and shows
    many times its size there.
    """

    name: str
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    refresh_every: float
    think_every: float
    noise: float
    skew: float
    skew_at: int
    gap: int
    centers: int = 1
    is_late: bool = False
    is_eager: bool = False


@dataclass(frozen=True, slots=True)
class TakerTerms:
    """How takers come. `sizes` are contracts, times are mean market seconds.

    Noise takers come every `noise_every`. They buy the longshot with probability one half and up to
    `longshot_lean` more, the more the less it is worth; and YES by `yes_lean` more than NO. Of
    informed takers `informed` come after a jump, each `informed_after` late, and one every
    `informed_every`; they take a touch that is more than `wrong_by` price units wrong.
    """

    noise_every: float = 7.0
    noise_sizes: tuple[int, ...] = (1, 2, 3, 5, 8)
    longshot_lean: float = 0.3
    yes_lean: float = 0.0
    informed: int = 3
    informed_after: float = 1.5
    informed_every: float = 10.0
    informed_sizes: tuple[int, ...] = (1, 2, 3, 4)
    wrong_by: float = 200.0


@dataclass(frozen=True, slots=True)
class Differences:
    """How markets differ. `pace`, `width` and `lot` are standard deviations of logarithms.

    They are of how often things happen, of `Habits.widest` and of the makers' sizes, beside this: a
    market twice as wide shows half as much, and one four times as busy is half as wide.

    A share `decided` of the markets starts within a cent of a bound and has `decided_pace` times
    the pace of the others; a share `abandoned` has no makers. The others start in a decile of the
    dollar drawn by `deciles`, or between the two `starts` where those are given.
    """

    starts: tuple[float, float] | None = (3_000.0, 7_000.0)
    deciles: tuple[float, ...] = ()
    decided: float = 0.0
    decided_pace: float = 1.0
    abandoned: float = 0.0
    pace: float = 0.3
    width: float = 0.0
    lot: float = 0.0


@dataclass(frozen=True, slots=True)
class Habits:
    """How often things happen (mean market seconds between them), how large they are (prices).

    The value stays within `lowest` and `highest`; it jumps, and drifts. To a jump all makers
    overreact by `overreaction` times its size, and give a share `calming` of that back with each
    drift. They ask up to about 0.4 `longshot_premium` more for what is unlikely than it is worth,
    most around twenty cents, and as much less for its opposite. Beside the makers' offsets the
    spread has `widest` in the middle of the dollar and less towards its ends. No maker bids below
    `least_price`, or asks within as much of the dollar. After a jump the eager makers quote anew
    `excited` times within four seconds.

    `changes` is the book changes a second of an average market and of a decided one, measured while
    they are new; `activity` is what they are scaled to over all markets, `None` for not at all.
    """

    makers: tuple[MakerTerms, ...]
    takers: TakerTerms = TakerTerms()
    differences: Differences = Differences()
    lag: float = 4.0
    lowest: float = 200.0
    highest: float = 9_800.0
    jump_every: float = 45.0
    smallest_jump: float = 450.0
    largest_jump: float = 750.0
    drift_every: float = 20.0
    drift_size: float = 15.0
    overreaction: float = 0.8
    calming: float = 0.5
    longshot_premium: float = 0.0
    widest: float = 0.0
    least_price: int = 1
    excited: int = 16
    changes: tuple[float, float] = (4.35, 4.35)
    activity: float | None = None


LIVELY = Habits(
    makers=(
        MakerTerms(
            "slow", (100, 200, 300, 500, 800), (30, 40, 50), 5.0, 45.0, 40.0, 40.0, 400, 2,
            is_late=True,
        ),
        MakerTerms(
            "deep", (300, 600, 1_000), (20, 25), 20.0, 60.0, 80.0, 0.0, 1, 2, is_late=True
        ),
        MakerTerms("fast", (100, 200), (5, 6, 8), 3.0, 30.0, 40.0, 40.0, 100, 2, is_eager=True),
    ),
)  # fmt: skip

# The share of two-sided snapshots by decile of the mid in kalshi-prod-stats-2026-08.
DECILES = (0.365, 0.119, 0.052, 0.044, 0.043, 0.043, 0.044, 0.044, 0.062, 0.184)

REAL = Habits(
    makers=(
        MakerTerms(
            "slow", (20, 120, 320, 520), (200, 200, 200, 200, 400, 75), 5.0, 40.0,
            60.0, 60.0, 2_000, 1, centers=2, is_late=True,
        ),
        MakerTerms(
            "deep",
            (
                500, 700, 800, 900, 1_000, 1_100, 1_200, 1_300, 1_500, 1_700, 1_900, 2_200, 2_600,
                3_100, 3_700,
            ),
            (200, 200, 200, 300, 400, 800), 3.5, 400.0, 100.0, 0.0, 1, 1, is_late=True,
        ),
        MakerTerms(
            "fast", (20, 120), (200, 200, 100, 75), 3.5, 20.0, 60.0, 60.0, 1_000, 1,
            centers=2, is_eager=True,
        ),
    ),
    takers=TakerTerms(
        noise_every=30.0,
        noise_sizes=(1, 2, 5, 10, 10, 25, 50, 100),
        yes_lean=0.1,
        informed_every=60.0,
        informed_sizes=(10, 25, 50, 100),
    ),
    differences=Differences(
        starts=None,
        deciles=DECILES,
        decided=0.57,
        decided_pace=0.1,
        abandoned=0.012,
        pace=1.0,
        width=1.1,
        lot=0.75,
    ),
    lowest=5.0,
    highest=9_995.0,
    jump_every=900.0,
    smallest_jump=300.0,
    largest_jump=1_200.0,
    drift_every=15.0,
    drift_size=15.0,
    overreaction=0.2,
    longshot_premium=400.0,
    widest=70.0,
    least_price=100,
    changes=(2.55, 1.27),
)  # fmt: skip

PRESETS = {"lively": LIVELY, "real": REAL}


def habits_named(name: str, lag: float, activity: float | None = None) -> Habits:
    """Give a preset with the slow makers `lag` late; raises `ValueError` for a name of none."""
    if name not in PRESETS:
        raise ValueError(f"no habits {name!r}; there are {', '.join(PRESETS)}")
    return replace(PRESETS[name], lag=lag, activity=activity)
