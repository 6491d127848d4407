"""From received frames to stored sessions: the spool, the recorder, the way into the database."""
