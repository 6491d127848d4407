"""How a book and the exchange's answer are compared."""

from hypothesis import given
from hypothesis import strategies as st

from streaming.audit import Verdict, differences, judge


def sides(bids=(), asks=()):
    return tuple(sorted(bids, reverse=True)), tuple(sorted(asks))


ONE = sides([(4_000, 100)], [(6_000, 100)])
TWO = sides([(4_000, 200)], [(6_000, 100)])
THREE = sides([(4_000, 200)], [(6_000, 300)])


def test_a_book_that_equals_the_answer_agrees():
    assert judge(ONE, [ONE]) is Verdict.AGREES


def test_a_book_that_was_equal_to_the_answer_at_any_frame_agrees():
    assert judge(TWO, [ONE, TWO, THREE]) is Verdict.AGREES


def test_a_book_that_stood_still_and_is_not_equal_differs():
    assert judge(TWO, [ONE]) is Verdict.DIFFERS
    assert differences(TWO, [ONE]) == ["bid 4000: 200, not 100"]


def test_a_moment_between_two_frames_says_nothing():
    between = sides([(4_000, 100)], [(6_000, 300)])

    assert judge(between, [ONE, THREE]) is Verdict.MOVED


def test_a_level_that_never_was_so_is_a_difference_however_much_moved():
    wrong = sides([(4_000, 100), (3_000, 50)], [(6_000, 300)])

    assert judge(wrong, [ONE, TWO, THREE]) is Verdict.DIFFERS
    assert differences(wrong, [ONE, TWO, THREE]) == ["bid 3000: 50, not 0"]


levels = st.dictionaries(st.integers(1, 99), st.integers(1, 9), max_size=4)
books = st.builds(lambda bids, asks: sides(bids.items(), asks.items()), levels, levels)


@given(st.lists(books, min_size=1, max_size=5), st.data())
def test_a_book_that_we_had_never_differs(seen, data):
    assert judge(data.draw(st.sampled_from(seen)), seen) is Verdict.AGREES
    assert differences(data.draw(st.sampled_from(seen)), seen) == []


@given(books, books)
def test_two_books_differ_exactly_where_they_are_not_equal(answer, book):
    assert (judge(answer, [book]) is Verdict.AGREES) == (answer == book)
    assert bool(differences(answer, [book])) == (answer != book)
