"""Public REST of the exchange itself: is it open, when is it open, what does it say."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange import payloads
from kalshiflow.exchange.times import iso_time
from kalshiflow.venue.core import Venue
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.market_bodies import NEVER

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Hours(msgspec.Struct, frozen=True):
    open_time: str
    close_time: str


class Week(msgspec.Struct, frozen=True):
    """The hours of each weekday, in New York's time; a close at 00:00 is the day's end."""

    start_time: str
    end_time: str
    monday: list[Hours]
    tuesday: list[Hours]
    wednesday: list[Hours]
    thursday: list[Hours]
    friday: list[Hours]
    saturday: list[Hours]
    sunday: list[Hours]


class Schedule(msgspec.Struct, frozen=True):
    standard_hours: list[Week]
    maintenance_windows: list[str]


class ScheduleAnswer(msgspec.Struct, frozen=True):
    schedule: Schedule


class Announcements(msgspec.Struct, frozen=True):
    announcements: list[str]


class UserDataTimestamp(msgspec.Struct, frozen=True):
    as_of_time: str


def routes(venue: Venue) -> list[BaseRoute]:
    """Give the exchange's routes."""
    exchange = _Exchange(venue)
    return [
        Route("/exchange/status", exchange.status),
        Route("/exchange/schedule", exchange.schedule),
        Route("/exchange/announcements", exchange.announcements),
        Route("/exchange/user_data_timestamp", exchange.user_data_timestamp),
    ]


class _Exchange:
    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def status(self, request: Request) -> Response:
        del request
        state = self._venue.floor.exchange
        is_trading = state.is_active and state.is_trading
        resumes_at = None if is_trading else state.resumes_at
        return answers.body(
            payloads.ExchangeStatusBody(
                state.is_active,
                is_trading,
                None if resumes_at is None else iso_time(resumes_at),
            )
        )

    async def schedule(self, request: Request) -> Response:
        """Tell that the venue never closes; pauses come from its tests, not from a calendar."""
        del request
        begun = iso_time(self._venue.clock.start)
        week = Week(begun, iso_time(NEVER), **{day: [Hours("00:00", "00:00")] for day in _DAYS})
        return answers.body(ScheduleAnswer(Schedule([week], [])))

    async def announcements(self, request: Request) -> Response:
        del request
        return answers.body(Announcements([]))

    async def user_data_timestamp(self, request: Request) -> Response:
        """Tell that what is read of one's own account is true now: the venue has no delay."""
        del request
        return answers.body(UserDataTimestamp(iso_time(self._venue.clock.now())))
