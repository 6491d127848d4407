"""Price-time priority matching of one market, of orders alone or over a recording; no I/O."""
