"""The venue's REST: Kalshi's endpoints and the venue's own."""
