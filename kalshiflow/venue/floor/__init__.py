"""The trading floor: markets, accounts, orders, groups, lifecycle and settlement; no I/O."""
