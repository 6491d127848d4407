"""What is to happen: in order of time, and at equal times in the order in which it was added."""

from kalshiflow.venue.floor.agenda import Agenda


def test_what_is_due_happens_in_order_each_at_its_own_time() -> None:
    agenda, happened = Agenda(), list[tuple[str, int]]()
    for at, what in ((5, "late"), (3, "first"), (3, "second"), (9, "not yet")):
        agenda.add(at, lambda now, what=what: happened.append((what, now)))  # type: ignore[misc]

    agenda.run(8)

    assert happened == [("first", 3), ("second", 3), ("late", 5)]
    assert agenda.next_at() == 9


def test_what_an_action_adds_happens_in_the_same_run_if_it_is_due() -> None:
    agenda, happened = Agenda(), list[int]()
    agenda.add(3, lambda at: agenda.add(at + 1, happened.append))

    agenda.run(4)

    assert happened == [4]
    assert agenda.next_at() is None
