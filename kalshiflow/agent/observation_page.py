"""The page `docs/observation.md`, made from the table; `python -m` this module writes it anew."""

from pathlib import Path

from kalshiflow.agent.features import (
    FEATURES,
    OBSERVATION_SIZE,
    OBSERVATION_TABLE,
    OBSERVATION_VERSION,
)

_HEAD = """\
# The observation

`{table}`, version {version}: {size} numbers, in this order. A policy carries the fingerprint of
this table and of the table of actions, and is refused where it differs.

- `s(x)` is x / (1 + |x|). B and A are quantities of bids and asks. Everything is on the YES scale.
- The book is the public book less one's own resting quantity.
- Of the market features only `imbalance_all` and `book_depth` know of levels that lie more than 10
  cents behind the best of their side; `unrealised` and `exit_depth` walk all of them.
- A side without orders counts as a best bid of 0 or a best ask of 1 dollar with nothing there: so
  the mid moves when a side empties or fills.
- Time is market time: the same recording gives the same numbers at any speed.
- A sum "with tau" decays by tau / (tau + dt) from one event to the next: of the two trade sums from
  trade to trade, of the pressures and the activity from any change of the book to the next, of the
  volatility and the mean mid from move to move. What one's own orders do to the book is no part of
  the flows, but for one's resting orders that others take; that one takes a level moves the mid.
- The mid of some seconds ago is that at the start of the quarter of a second then. Before 30
  seconds have passed since a recording began or a gap ended, it is taken to have stood where it
  first stood; `since_mid_change` counts from there.
- Portfolio features are relative to the market's own budget, and free cash is
  budget - cost + realised - fees - cash kept for resting orders.
- What the book would pay is what all that is held would bring at the prices now shown, level by
  level, before fees; what no level takes brings nothing.
- Volume ahead of an own order is what the public events prove: the whole level when it came to
  rest or was seen first after a gap, less what traded there since, never more than the others have
  there now.
- `own_distance` is above 0 where the own order is better than all others of its side, and 0 without
  one; of two it is the bid's.
- Whole numbers that scale a quantity (500, 2000, …) are near the median of a recorded day of a
  busy market (an S&P 500 range, 31 August 2023), so that one half is a usual book.

No number is constant or a function of the others by its form, but for two that combine others in a
way that a small network finds hard: `microprice` (spread and first imbalance) and `exit_share` (the
touch and what is held). A test holds the table to that.

| # | name | group | formula | range | unit | source |
|---|---|---|---|---|---|---|
"""

_SOURCES = """
Sources: Andersen and Bollerslev (1998), Answering the skeptics; Avellaneda and Stoikov (2008),
High-frequency trading in a limit order book; Biais, Hillion and Spatt (1995), An empirical analysis
of the limit order book and the order flow in the Paris Bourse; Cao, Hansch and Wang (2009), The
information content of an open limit-order book; Cont, Kukanov and Stoikov (2014), The price impact
of order book events; Engle and Russell (1998), Autoregressive conditional duration; Gould and
Bonart (2016), Queue imbalance as a one-tick-ahead price predictor; Hasbrouck (1991), Measuring the
information content of stock trades; Moallemi and Yuan (2016), A model for queue position valuation
in a limit order book; Naes and Skjeltorp (2006), Order book characteristics and the volume-
volatility relation; Stoikov (2018), The micro-price. "After" says that the idea is theirs and the
form ours.
"""


def observation_page() -> str:
    """Write the table as the page `docs/observation.md`, which a test holds to this text."""
    head = _HEAD.format(table=OBSERVATION_TABLE, version=OBSERVATION_VERSION, size=OBSERVATION_SIZE)
    rows = [
        f"| {number} | `{f.name}` | {f.group} | {f.formula.replace('|', '&#124;')} "
        f"| {f.low:g} to {f.high:g} | {f.unit} | {f.source} |"
        for number, f in enumerate(FEATURES)
    ]
    return head + "\n".join(rows) + "\n" + _SOURCES


if __name__ == "__main__":
    Path("docs/observation.md").write_text(observation_page())
