"""Observers: conflated market data, facts in order, and the breaker."""

import asyncio

from trader.bus import Breaker, Bus
from trader.events import BookChanged, ComponentChanged


def fact(number):
    return ComponentChanged("part", "healthy", str(number), number)


class Observer:
    def __init__(self):
        self.seen = []
        self.got = asyncio.Event()

    async def handle(self, event):
        self.seen.append(event)
        self.got.set()


async def serve(bus, until):
    task = asyncio.ensure_future(bus.run())
    try:
        async with asyncio.timeout(5):
            while not until():
                await asyncio.sleep(0)
    finally:
        task.cancel()


async def test_market_data_that_waits_is_conflated_per_market():
    bus, observer = Bus(), Observer()
    subscription = bus.subscribe("screens", observer.handle, (BookChanged,))
    for _ in range(100):
        bus.publish(BookChanged("A"))
        bus.publish(BookChanged("B"))

    assert subscription.waiting == 2
    await serve(bus, lambda: len(observer.seen) == 2)
    assert observer.seen == [BookChanged("A"), BookChanged("B")]


async def test_facts_are_handled_in_order_and_none_is_left_out():
    bus, observer = Bus(), Observer()
    bus.subscribe("screens", observer.handle, (ComponentChanged,))
    for number in range(50):
        bus.publish(fact(number))

    await serve(bus, lambda: len(observer.seen) == 50)

    assert observer.seen == [fact(number) for number in range(50)]


async def test_an_observer_gets_only_the_types_that_it_asked_for():
    bus, observer = Bus(), Observer()
    subscription = bus.subscribe("screens", observer.handle, (ComponentChanged,))

    bus.publish(BookChanged("A"))

    assert subscription.waiting == 0


async def test_an_observer_whose_queue_of_facts_fills_is_cut_off_and_the_others_go_on():
    bus, slow, quick = Bus(), Observer(), Observer()
    stuck = bus.subscribe("slow", slow.handle, (ComponentChanged,), Breaker(facts=3))
    bus.subscribe("quick", quick.handle, (ComponentChanged,))
    for number in range(4):
        bus.publish(fact(number))

    await serve(bus, lambda: len(quick.seen) == 4)

    assert stuck.cut == "3 facts were waiting"
    assert slow.seen == []


async def test_market_data_never_cuts_an_observer_off():
    bus, observer = Bus(), Observer()
    subscription = bus.subscribe("screens", observer.handle, (BookChanged,), Breaker(facts=1))

    for number in range(100):
        bus.publish(BookChanged(str(number)))

    assert subscription.cut is None


async def test_an_observer_that_was_cut_off_is_tried_again_with_what_comes_then():
    bus, observer = Bus(), Observer()
    subscription = bus.subscribe(
        "slow", observer.handle, (ComponentChanged,), Breaker(facts=1, pause=0.01)
    )
    bus.publish(fact(1))
    bus.publish(fact(2))
    assert subscription.cut is not None
    bus.publish(fact(3))

    await serve(bus, lambda: subscription.cut is None)
    bus.publish(fact(4))
    await serve(bus, lambda: observer.seen != [])

    assert observer.seen == [fact(4)]
    assert subscription.cuts == 1


async def test_an_observer_that_takes_too_long_is_cut_off():
    bus = Bus()

    async def stuck(_event):
        await asyncio.Event().wait()

    subscription = bus.subscribe("stuck", stuck, (ComponentChanged,), Breaker(seconds=0.01))
    bus.publish(fact(1))

    await serve(bus, lambda: subscription.cut is not None)

    assert subscription.cut == "it took over 0.01 s"


async def test_an_observer_that_keeps_failing_is_cut_off_and_one_that_recovers_is_not():
    bus = Bus()

    async def broken(_event):
        raise ValueError

    async def flaky(event):
        if event.at % 3:
            raise ValueError

    lost = bus.subscribe("broken", broken, (ComponentChanged,), Breaker(failures=3))
    kept = bus.subscribe("flaky", flaky, (ComponentChanged,), Breaker(failures=3))
    for number in range(9):
        bus.publish(fact(number))

    await serve(bus, lambda: kept.handled == 3)

    assert lost.cut == "it failed 3 times in a row"
    assert (kept.cut, kept.failed) == (None, 6)
