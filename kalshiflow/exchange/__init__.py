"""Kalshi's language: keys, frames, bodies, the feed, the connection and the client."""
