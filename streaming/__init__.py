"""The collector: the exchange's frames into recorded sessions."""
