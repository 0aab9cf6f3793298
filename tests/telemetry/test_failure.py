import pytest

from telemetry.failure import RULES, Code, Failure, words_of


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_every_code_has_a_rule():
    assert set(RULES) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_a_failure_follows_the_rule_of_its_code(code):
    failure, rule = Failure(code=code), RULES[code]
    assert (failure.category, failure.fault, failure.retryable) == (rule.category, rule.fault, rule.retryable)


def test_a_failure_cannot_be_built_without_a_code():
    with pytest.raises(TypeError):
        Failure()


def test_words_of_an_error_are_its_type_and_message():
    assert words_of(KeyError("a")) == "KeyError: 'a'"


def test_an_error_that_cannot_speak_still_has_a_type():
    assert words_of(Mute()) == "Mute"
