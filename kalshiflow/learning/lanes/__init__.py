"""Many episodes side by side, by pure functions over flat lists."""
