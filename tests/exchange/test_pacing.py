"""How long to wait: the back-off after failures, and the token bucket before requests."""

import random

import pytest

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.exchange.throttle import TokenBucket


def test_delays_double_up_to_the_cap_and_each_is_cut_by_up_to_half():
    backoff = Backoff(jitter=random.Random(7))

    delays = [backoff.next_delay() for _ in range(10)]

    wholes = [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(whole / 2 <= delay <= whole for whole, delay in zip(wholes, delays, strict=True))
    assert len(set(delays)) == 10


def test_a_success_makes_the_next_delay_short_again():
    backoff = Backoff()
    for _ in range(5):
        backoff.next_delay()

    backoff.reset()

    assert backoff.next_delay() <= 0.5


def test_two_backoffs_do_not_wait_alike():
    one, two = Backoff(), Backoff()

    assert [one.next_delay() for _ in range(4)] != [two.next_delay() for _ in range(4)]


def test_a_full_bucket_lets_its_capacity_through_at_once():
    bucket = TokenBucket(rate=10, capacity=20, now=0)

    assert [bucket.take(10, 0) for _ in range(4)] == [0, 0, 1, 2]


def test_a_bucket_refills_with_time_but_not_beyond_its_capacity():
    bucket = TokenBucket(rate=10, capacity=20, now=0)
    bucket.take(20, 0)

    assert bucket.take(10, 1) == 0
    assert bucket.take(30, 100) == pytest.approx(1)
