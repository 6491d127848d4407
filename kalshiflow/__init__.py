"""Kalshiflow: the library beneath the collector, the pipelines, the trader and the app."""
