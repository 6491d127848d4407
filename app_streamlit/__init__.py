"""The app: people watch the loop and steer it."""
