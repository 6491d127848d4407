"""Market events as whole numbers: the form in which recordings are kept, replayed and learned from.

An event is (kind, side, index, quantity, at): `side` is 0 bid, 1 ask; `index` is the place of its
price in the market's grid; `quantity` hundredths of contracts; `at` market time in nanoseconds.

| kind | side | index | quantity |
|---|---|---|---|
| SNAPSHOT | 0 | numbers in its body | where its body begins in `bodies` |
| DELTA | side of the book | place of the price | signed change |
| OWN_DELTA | the same, caused by an order of our own | | |
| TRADE | the taker's side | place of the price, -1 off the grid | quantity |
| STATUS | 0 | number of the status, -1 where it stays | what YES is paid, -1 if not settled |
| CLOSES | 0 | 0 | time of closing, -1 unknown |
| ACCOUNT | 0 | row of the account table | 0 |

A snapshot's body is (bids, asks, then index and quantity of each bid from the best, of each ask
from the best), where `bids` and `asks` count levels.
"""

from kalshiflow.market.listing import MarketStatus

SNAPSHOT = 0
DELTA = 1
OWN_DELTA = 2
TRADE = 3
STATUS = 4
CLOSES = 5
ACCOUNT = 6

UNKNOWN = -1

STATUSES = tuple(MarketStatus)
STATUS_NUMBER = {status: number for number, status in enumerate(STATUSES)}
ACTIVE = STATUS_NUMBER[MarketStatus.ACTIVE]
INACTIVE = STATUS_NUMBER[MarketStatus.INACTIVE]

# The table of accounts: how one's own affairs in the market stood from an ACCOUNT event on. Times
# are market time; prices are -1 where there is no own order, times where there was none.
ACCOUNT_COLUMNS = (
    "budget",
    "position",
    "cost",
    "realised",
    "fees",
    "reserved",
    "held_since",
    "ordered_at",
    "ordered",
    "filled",
    "bid_price",
    "bid_quantity",
    "bid_since",
    "ask_price",
    "ask_quantity",
    "ask_since",
)
ACCOUNT_WIDTH = len(ACCOUNT_COLUMNS)
