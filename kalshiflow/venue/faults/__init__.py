"""What can go wrong between a client and the exchange, made to go wrong when asked.

A fault is one line: its kind, then what it concerns, when it strikes and how, each `name=value`.

    drop channel=orderbook_delta every=100   the 100th, 200th ... frame of each connection
    disconnect after=500                     each connection, once 500 frames were sent on it
    429 at=30s for=10s path=/portfolio       from the 30th to the 40th second
    timeout lands=yes count=1                the next order is placed, and never answered

| kind | what happens | takes |
|---|---|---|
| `drop` | a frame is not sent; its sequence number is used up | F W |
| `duplicate` | a frame is sent twice in a row | F W |
| `delay` | a frame comes `ms` late, and what follows it on its sid after it | F W `ms` |
| `reorder` | a frame comes after the next of its sid, or a second later | F W |
| `disconnect` | the connection ends without a goodbye: at a moment, or by its frames | F W |
| `refuse-handshakes` | the handshake is answered by `status` (503) | W `status` |
| `429` | the request is answered so, and not looked at | R W |
| `5xx` | answered by `status` (503), `body` html or empty; done where `lands=yes` | R W |
| `timeout` | an order is done or not (`lands`) and not answered; 504 after `ms` (60000) | R W |
| `slow` | the request is taken `ms` late | R W `ms` |
| `stale-reads` | orders are read as they were `ms` (360) ago; new ones are there at once | S |
| `clock-skew` | the venue's clock is `ms` ahead of the signatures' (below 0: behind) | S `ms` |
| `maintenance` | connections end at its beginning, and trading is paused while it lasts | S |

F, what frames: `channel` and `ticker` (several with commas; `control` is the channel of answers to
commands, which are struck by name only), `account` (a name or a key id). R, what requests: `path`
(the beginning of what follows /trade-api/v2), `method`, `account`. S, in what span: `at`, `for`
(`stale-reads` also `account` and `ticker`). W is S and, of what comes meanwhile, which: `after` so
many, `every` so manieth, at a `rate`, `count` times in all. Frames are counted on each connection,
requests and handshakes together. Times are of the wall clock and count from when the fault was
given. Dice are thrown from the venue's seed, for each connection its own.
"""
