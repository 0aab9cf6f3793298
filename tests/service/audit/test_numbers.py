from hypothesis import given
from hypothesis import strategies as st

from service.audit.numbers import Numbers


def test_a_number_is_given_when_something_begins_and_kept_until_it_is_closed():
    numbers = Numbers()
    assert (numbers.open("a"), numbers.open("b"), numbers.open("a")) == (1, 2, 1)
    assert numbers.close("b").seq == 2
    assert "b" not in numbers
    assert len(numbers) == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=60))
def test_all_below_the_low_mark_are_closed_and_no_number_is_given_twice(steps):
    numbers, closed, given_out = Numbers(), set(), {}
    for opens, which in steps:
        name = f"{which}"
        if opens:
            given_out[name] = numbers.open(name)
        else:
            number = numbers.close(name)
            assert number.seq not in closed
            assert given_out.pop(name, number.seq) == number.seq
            closed.add(number.seq)
            assert set(range(1, number.low)) <= closed
