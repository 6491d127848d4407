"""The local Kalshi: matching, accounts, synthetic traders, replay, and the servers around them."""
