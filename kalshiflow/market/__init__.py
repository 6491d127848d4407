"""The domain: exact, pure, no I/O."""
