"""The venue's WebSocket: subscriptions, commands, frames, and the server."""
