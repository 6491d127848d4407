"""What can go wrong with the database, told in one sentence each."""


class StoreError(RuntimeError):
    """Something the store could not do."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, or the connection to it broke; worth trying again."""


class SchemaUnknown(StoreError):
    """The database's schema is not the one that this program was written for."""


class SessionLost(StoreError):
    """The session being written was closed by somebody else: two recorders are at work."""


class LeaseLost(StoreError):
    """The right to record was taken over by somebody else; nothing more may be written."""


class NotRecorded(StoreError):
    """A session, market or frame that the store does not hold."""
