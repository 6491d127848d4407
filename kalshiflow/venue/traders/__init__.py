"""Synthetic markets: hidden values, makers and takers, and how real they are."""
