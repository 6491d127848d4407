"""Recordings as the venue's traffic: captures, recorded sessions, and top speed."""
