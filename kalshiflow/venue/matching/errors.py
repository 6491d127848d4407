"""Why a book refuses a command; nothing has changed then."""


class MatchingError(ValueError):
    """A command that the book refuses; nothing has changed."""


class PostOnlyCross(MatchingError):
    """A post-only order that would have taken liquidity."""


class NotFillable(MatchingError):
    """A fill-or-kill order that the resting volume cannot fill at once."""


class UnknownOrder(MatchingError):
    """An order id that does not rest in this book."""
