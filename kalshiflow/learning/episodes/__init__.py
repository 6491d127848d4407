"""From a recorded session to segments in a file, and parts of them."""
