"""Kalshi's own figures, that the synthetic exchange is compared with, and where they come from."""

# One production market for one day: INXD-23AUG31-B4512, 35,898 changes in six and a half hours.
INXD = "INXD-23AUG31-B4512, a whole day"
INXD_CHANGES_A_SECOND = 1.5
INXD_ADDS = 0.499
INXD_GAPS = (0.1, 2.0, 7.1)  # seconds: p50 (below it), p90, p99
INXD_BEHIND = {"better": 0.05, "at": 0.19, "1-5": 0.33, "6-19": 0.33, "20-": 0.11}
INXD_SPREADS = {"1": 0.20, "2": 0.40, "3": 0.32, "4": 0.06, "5-": 0.025}
INXD_LEVELS = 33
INXD_CHANGES_PER_BEST = 10
INXD_COMMONEST_SIZE = 0.58

# Three active markets of the demo exchange, 315 seconds on 2026-07-01.
DEMO = "demo exchange, 2026-07-01"
DEMO_CHANGES_A_SECOND = 9.2 / 3

# 8.0 million snapshots of 54,380 production markets, July and August 2026.
CROSS = "kalshi-prod-stats-2026-08"
CROSS_TWO_SIDED, CROSS_ONE_SIDED, CROSS_EMPTY = 0.382, 0.606, 0.012  # quote_state.csv
CROSS_NEVER_QUOTED = 0.794  # ticker_liquidity_census.csv
CROSS_SPREADS = {"1": 0.440, "2": 0.249, "3": 0.153, "4": 0.059, "5-": 0.099}
CROSS_SPREAD_MEAN = 2.87  # both from spread_by_bucket.csv, as are the rest
CROSS_SPREAD_BY_DECILE = (2.0, 2.7, 3.6, 5.9, 7.2, 5.5, 3.9, 2.5, 2.8, 2.0)
CROSS_MEDIAN_BY_DECILE = (1, 2, 2, 2, 3, 3, 2, 2, 2, 1)
CROSS_TOUCH = (1_079, 2_761)  # least and most by decile and side, contracts at one cent's spread

# KXHIGHNY, December 2025: six strikes an event.
HIGHNY = "KXHIGHNY, December 2025"
HIGHNY_STRIKES_FOR_80 = (2, 4)

# Returns on what was paid, after fees, held to settlement; 2021 to April 2025.
MAKERS_AND_TAKERS = "Makers and Takers (Bürgi, Deng, Whelan 2026)"
TAKER_RETURN, MAKER_RETURN = -0.315, -0.096
LONGSHOT_RETURN = -0.60  # at ten cents and less; "more than 60 % lost"
FAVOURITE_RETURNS = (0.013, 0.079)  # above seventy cents, its replication by price
MAKER_FAVOURITE_RETURN = 0.026  # at fifty cents and more
TAKERS_OF_YES = 0.61  # Bartlett and O'Hara 2026, markets on one name
