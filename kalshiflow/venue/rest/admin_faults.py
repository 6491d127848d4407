"""The venue's own endpoints for faults, for this machine only.

GET    /venue/faults       those that were given, with how often each has struck (a skewed clock
                           and stale reads are always there, and are not counted)
POST   /venue/faults       one more, `{"fault": "drop every=100"}`: its times count from now; 201
DELETE /venue/faults       end all
DELETE /venue/faults/{n}   end one, by its number
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.venue.faults.language import WrongFault, read_fault
from kalshiflow.venue.faults.live import Faults, LiveFault
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.admin import NoSuchThing, only_from_here

LONGEST_NUMBER = 18  # digits


class BadFault(Refused):
    """A fault that cannot be."""

    code = "bad_fault"


class NewFault(msgspec.Struct, forbid_unknown_fields=True):
    """One fault, in the language of `kalshiflow.venue.faults`."""

    fault: str


class FaultBody(msgspec.Struct):
    """A fault; `phase` is waiting, on or over."""

    number: int
    fault: str
    phase: str
    strikes: int


class FaultsBody(msgspec.Struct):
    """All faults that were given and not ended, oldest first."""

    faults: list[FaultBody]


def routes(faults: Faults) -> list[BaseRoute]:
    """Give the routes, below /venue."""
    admin = _Faults(faults)
    return [
        Route("/faults", admin.all_faults),
        Route("/faults", admin.add, methods=["POST"]),
        Route("/faults", admin.end_all, methods=["DELETE"]),
        Route("/faults/{number}", admin.end, methods=["DELETE"]),
    ]


class _Faults:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def all_faults(self, request: Request) -> Response:
        only_from_here(request)
        return answers.body(self._all())

    async def add(self, request: Request) -> Response:
        only_from_here(request)
        try:
            asked = msgspec.json.decode(await request.body(), type=NewFault)
            live = self._faults.add(read_fault(asked.fault))
        except WrongFault as wrong:
            raise BadFault(str(wrong)) from None
        except ValueError as unreadable:
            shape = '{"fault": "drop every=100"}'
            raise BadFault(f"the body must be like {shape}: {unreadable}") from None
        return answers.body(self._body(live), 201)

    async def end_all(self, request: Request) -> Response:
        only_from_here(request)
        self._faults.end_all()
        return answers.body(self._all())

    async def end(self, request: Request) -> Response:
        only_from_here(request)
        number = request.path_params["number"]
        if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
            raise NoSuchThing(f"{number!r} is no fault's number")
        try:
            live = self._faults.end(int(number))
        except WrongFault as unknown:
            raise NoSuchThing(str(unknown)) from None
        return answers.body(self._body(live))

    def _all(self) -> FaultsBody:
        return FaultsBody([self._body(live) for live in self._faults])

    def _body(self, live: LiveFault) -> FaultBody:
        phase = self._faults.phase(live)
        return FaultBody(live.number, live.fault.text, phase.value, live.strikes)
