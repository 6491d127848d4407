"""Leases: one recorder at a time, and one that was overtaken writes nothing more."""

import asyncio

import pytest

from kalshiflow.store.database import Store
from kalshiflow.store.errors import LeaseLost
from kalshiflow.store.leases import (
    acquire_lease,
    check_lease,
    lease_key,
    release_lease,
    renew_lease,
    superseded_at,
)

pytestmark = pytest.mark.integration
KEY = lease_key("local", "collector", "main")


async def expire(store: Store) -> None:
    async with store.connection() as connection:
        await connection.execute("UPDATE rl_recorder_leases SET expires_at = clock_timestamp()")


async def test_of_many_that_ask_at_once_exactly_one_gets_the_lease_each_time(postgres_url):
    epochs = []
    async with await Store.open(postgres_url, max_connections=12) as store:
        for turn in range(5):
            asked = [acquire_lease(store, KEY, f"{turn}-{i}", 60) for i in range(24)]
            won = [lease for lease in await asyncio.gather(*asked) if lease is not None]
            assert len(won) == 1
            epochs.append(won[0].epoch)
            await expire(store)

    assert epochs == [1, 2, 3, 4, 5]


async def test_a_lease_is_taken_over_only_once_it_has_expired_by_the_databases_clock(store):
    first = await acquire_lease(store, KEY, "one", 60)
    assert first is not None
    assert await acquire_lease(store, KEY, "two", 60) is None

    await expire(store)
    second = await acquire_lease(store, KEY, "two", 60)

    assert second is not None
    assert (second.epoch, second.holder) == (first.epoch + 1, "two")
    assert second.began_at > first.began_at
    assert await acquire_lease(store, KEY, "one", 60) is None


async def test_the_holder_that_was_overtaken_can_neither_renew_nor_commit(store):
    first = await acquire_lease(store, KEY, "one", 60)
    await expire(store)
    await renew_lease(store, first, 60)  # late, but nobody took it
    await expire(store)
    second = await acquire_lease(store, KEY, "two", 60)

    with pytest.raises(LeaseLost, match="epoch 1 was taken over"):
        await renew_lease(store, first, 60)
    async with store.transaction() as connection:
        await check_lease(connection, second)
        with pytest.raises(LeaseLost):
            await check_lease(connection, first)
    await renew_lease(store, second, 60)


async def test_a_restarted_holder_has_its_lease_again_at_once_in_a_new_epoch(store):
    before = await acquire_lease(store, KEY, "spool-1", 60)
    after = await acquire_lease(store, KEY, "spool-1", 60)

    assert after is not None
    assert after.epoch == before.epoch + 1
    with pytest.raises(LeaseLost):
        await renew_lease(store, before, 60)


async def test_a_lease_that_is_given_back_can_be_taken_at_once_and_keeps_its_history(store):
    first = await acquire_lease(store, KEY, "one", 60)
    await release_lease(store, first)
    second = await acquire_lease(store, KEY, "two", 60)
    await release_lease(store, first)  # too late: it is somebody else's

    assert await acquire_lease(store, KEY, "three", 60) is None
    assert second is not None
    assert await superseded_at(store, KEY, first.epoch) == second.began_at
    assert await superseded_at(store, KEY, second.epoch) is None


async def test_shards_and_environments_do_not_stand_in_each_others_way(store):
    keys = [lease_key(e, "collector", s) for e in ("local", "paper") for s in ("main", "b")]

    leases = [await acquire_lease(store, key, "one", 60) for key in keys]

    assert [lease.epoch for lease in leases] == [1, 1, 1, 1]


async def test_nobody_takes_over_while_a_commit_is_under_way(store):
    first = await acquire_lease(store, KEY, "one", 60)
    await expire(store)
    async with store.transaction() as connection:
        await check_lease(connection, first)
        taking = asyncio.create_task(acquire_lease(store, KEY, "two", 60))
        await until_somebody_waits_for_a_lock(store)
        assert not taking.done()
    second = await taking

    assert second.epoch == first.epoch + 1


async def test_who_asks_for_a_lease_that_is_held_waits_for_no_commit(store):
    first = await acquire_lease(store, KEY, "one", 60)
    async with store.transaction() as connection:
        await check_lease(connection, first)
        async with asyncio.timeout(10):
            assert await acquire_lease(store, KEY, "two", 60) is None


async def until_somebody_waits_for_a_lock(store: Store) -> None:
    async with asyncio.timeout(10), store.connection() as connection:
        while not await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        ):
            await asyncio.sleep(0)
