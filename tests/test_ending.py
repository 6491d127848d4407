"""Tasks that work together end together, and the error that says why comes by itself."""

import asyncio

import pytest

from kalshiflow.ending import ShutdownRequested, beside, ended_by, unwrapped


class Broken(Exception):
    """What a task fails with."""


async def fail(error):
    await asyncio.sleep(0)
    raise error


async def forever():
    await asyncio.Event().wait()


async def fail_at_the_end(error):
    try:
        await forever()
    finally:
        raise error


async def work(stop, *works):
    async with ended_by(stop) as group:
        for each in works:
            group.create_task(each)
        await forever()


async def test_a_request_to_end_ends_the_block_and_its_tasks():
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(ShutdownRequested):
        await work(stop, forever())


async def test_a_block_that_ends_by_itself_needs_no_request():
    async with ended_by(asyncio.Event()):
        await asyncio.sleep(0)


async def test_an_error_outweighs_a_request_to_end():
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Broken, match="disk"):
        await work(stop, fail_at_the_end(Broken("disk")))


async def test_works_beside_a_block_end_with_it_or_end_it():
    async with beside(one=forever(), other=forever()):
        await asyncio.sleep(0)
    with pytest.raises(Broken):
        async with beside(one=forever(), other=fail(Broken())):
            await forever()


def test_two_errors_stay_together():
    with pytest.raises(ExceptionGroup), unwrapped():
        raise ExceptionGroup("both", [Broken("one"), Broken("two")])
