"""Each form takes exactly its text, and shows a value as text it would take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.form import (
    counts,
    dollars,
    fraction,
    hidden,
    listed,
    located,
    named,
    networks,
    numbers,
    one_of,
    switch,
    text,
    web_address,
    whole,
)

TABLE = {"A": 1, "B": 2}
NUMBERS = counts(TABLE, r"[A-Z]{1,4}", 1, 1000)

NONSENSE = [
    "nan", "NaN", "inf", "-inf", "Infinity", "1e3", "1_000", " 1", "1 ", "1\n", "+1", "0x10", "007", "",
    "1,000", "\u0661", "\u00b2", "one", "1.", "--1", "9" * 400,
]  # fmt: skip


@pytest.mark.parametrize("given_text", [*NONSENSE, "1.0", "-1", "101", "1000000000000"])
def test_whole_refuses(given_text):
    with pytest.raises(ValueError):  # noqa: PT011 - a form says no more than that
        whole(0, 100).read(given_text)


@pytest.mark.parametrize("number", [0, 1, 99, 100])
def test_whole_takes_its_bounds(number):
    assert whole(0, 100).read(str(number)) == number


def test_whole_takes_a_negative_number_within_bounds():
    assert whole(-5, 5).read("-5") == -5


@pytest.mark.parametrize(
    "given_text", [*(bad for bad in NONSENSE if bad != "007"), "1.1", "-0.1", "2", "1000000000000"]
)
def test_fraction_refuses(given_text):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        fraction(0, 1).read(given_text)


@pytest.mark.parametrize(
    ("given_text", "number"), [("0", 0.0), ("1", 1.0), ("0.25", 0.25), (".5", 0.5), ("1.0", 1.0)]
)
def test_fraction_takes_plain_decimals(given_text, number):
    assert fraction(0, 1).read(given_text) == number


@given(st.floats(0, 1).map(lambda number: round(number, 12)))
def test_fraction_shows_what_it_reads(number):
    form = fraction(0, 1)
    assert form.read(form.show(number)) == number


@pytest.mark.parametrize(
    ("given_text", "micros"),
    [
        ("1", 1_000_000),
        ("12.50", 12_500_000),
        ("0.000001", 1),
        ("0.1", 100_000),
        ("100", 100_000_000),
    ],
)
def test_dollars_are_exact_micros(given_text, micros):
    assert dollars(100).read(given_text) == micros


@pytest.mark.parametrize(
    "given_text",
    ["0", "0.0", "-1", "$1", "1.0000001", "100.000001", "101", "1e2", "nan", "1,5", " 1", "1 USD", "."],
)
def test_dollars_refuse(given_text):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        dollars(100).read(given_text)


@given(st.integers(1, 100_000_000))
def test_dollars_show_what_they_read(micros):
    form = dollars(100)
    assert form.read(form.show(micros)) == micros


@pytest.mark.parametrize("word", ["on", "yes", "true", "1", "ON", "Yes", "TRUE"])
def test_switch_on(word):
    assert switch().read(word) is True


@pytest.mark.parametrize("word", ["off", "no", "false", "0", "OFF", "No", "False"])
def test_switch_off(word):
    assert switch().read(word) is False


@pytest.mark.parametrize("word", ["", "2", "y", "n", "enabled", " true", "true\n", "none", "-1", "tru"])
def test_switch_refuses(word):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        switch().read(word)


def test_one_of_takes_any_case_and_gives_the_listed_word():
    form = one_of("HS256", "EdDSA", "plain")
    assert form.read("eddsa") == "EdDSA"
    assert form.expected == "HS256, EdDSA or plain"
    assert one_of("only").expected == "only"
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        form.read("HS25")


def test_text_matches_as_a_whole():
    form = text("letters", r"[a-z]+")
    assert form.read("abc") == "abc"
    for bad in ("abc1", "abc\n", "", " abc"):
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            form.read(bad)


def test_listed_takes_blanks_around_items_and_keeps_order():
    assert listed("names", r"[a-z]+").read("b, a ,c") == ("b", "a", "c")


@pytest.mark.parametrize("given_text", ["a,,b", ",", "a,", "a,a", "a, a", "a b", "A", "a\n,b"])
def test_listed_refuses(given_text):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        listed("names", r"[a-z]+").read(given_text)


def test_hidden_reads_a_secret_and_shows_its_mask():
    form = hidden("4 letters", r"[a-z]{4}")
    assert form.read("abcd").reveal() == "abcd"
    assert form.show(form.read("abcd")) == "***"
    assert form.secret
    assert not form.quoted


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "https://example.com",
        "http://127.0.0.1:8080/v1/",
        "http://[::1]:9",
        "https://u:p@h/x",
        "http://h:65535",
    ],
)
def test_web_address_takes(url):
    assert web_address().read(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "//h", "ftp://h", "http:/h", "http://", "http:///p", "http://:80", "http://h:0", "http://h:65536",
        "http://h:x", "http://h?q=1", "http://h#f", "http://h/a b", "http://h\n", "http://[::1", "http://u@",
        "HTTP//h", "http://h\\@e", "http://h\u00e4", "javascript:alert(1)", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_web_address_refuses(url):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        web_address().read(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pa@ss@h/p", "https://***@h/p"),
        ("https://token@h", "https://***@h"),
        ("https://h/p@x", "https://h/p@x"),
        ("sqlite:///a@b/c", "sqlite:///a@b/c"),
        ("postgresql://u:p@h/d?sslmode=require", "postgresql://***@h/d?sslmode=require"),
        ("postgresql://u:a/b?c@h/d", "postgresql://***@h/d"),
        ("postgres://u:a/b@h/d", "postgres://***@h/d"),
        (
            "postgresql://h/d?user=u&password=secret&sslpassword=x&sslmode=require",
            "postgresql://h/d?user=u&password=***&sslpassword=***&sslmode=require",
        ),
    ],
)
def test_urls_never_show_credentials(url, shown):
    assert web_address().show(url) == shown
    assert located("any", ".*").show(url) == shown


def test_counts_replace_the_numbers_they_name_and_keep_the_others():
    assert NUMBERS.read("B=20, C=3") == {"A": 1, "B": 20, "C": 3}
    assert TABLE == {"A": 1, "B": 2}


def test_counts_are_immutable():
    numbers = NUMBERS.read("B=20")
    with pytest.raises(TypeError):
        numbers["B"] = 1


@pytest.mark.parametrize(
    "given_text",
    ["A", "A=", "=1", "A=0", "A=1001", "A=-1", "A=1.5", "a=1", "A=1,A=2", "A=1,,B=2", "A=1,", "A =1", "A= 1",
     "A=1=2", "A:1", "ABCDE=1", "A=1;B=2", "A=1_0"],
)  # fmt: skip
def test_counts_refuse(given_text):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        NUMBERS.read(given_text)


def test_counts_show_what_they_read():
    value = NUMBERS.read("B=20,C=3")
    assert NUMBERS.show(value) == "A=1,B=20,C=3"
    assert NUMBERS.read(NUMBERS.show(value)) == value


FORMS = [
    whole(0, 9), fraction(0, 1), dollars(9), switch(), one_of("a"), text("t", r"[a-z]+"),
    listed("l", r"[a-z]+"), hidden("h", r".{3,}"), located("u", r"x://[!-~]+"), web_address(), NUMBERS,
]  # fmt: skip


@given(
    st.sampled_from(FORMS),
    st.one_of(st.text(), st.from_regex(r"https?://[\[\]:@/%a0-9]{0,20}"), st.from_regex(r"[0-9.eE+_-]*")),
)
def test_no_text_makes_a_form_raise_anything_but_value_error(form, given_text):
    try:
        value = form.read(given_text)
    except ValueError:
        return
    assert isinstance(form.show(value), str)


@pytest.mark.parametrize(
    "given_text", ["10.0.0.1", "10.0.0.0/8", "10.0.0.7/8", "::1", "2001:db8::/32, 10.0.0.1"]
)
def test_networks_read(given_text):
    assert networks().read(given_text) == tuple(each.strip() for each in given_text.split(","))


@pytest.mark.parametrize(
    "given_text",
    ["", "10.0.0.0/33", "10.0.0.256", "host", "10.0.0.1,10.0.0.1", "10.0.0.1,", "::g", "1.2", "::/129"],
)
def test_networks_refuse(given_text):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        networks().read(given_text)


@pytest.mark.parametrize("given_text", ["80", "443,80", "80, 443"])
def test_numbers_read(given_text):
    form = numbers(1, 65535)
    read = form.read(given_text)
    assert read == {int(each) for each in given_text.split(",")}
    assert form.read(form.show(read)) == read


@pytest.mark.parametrize("given_text", ["", ",", "80,", "80,80", "0", "65536", "80;443", "+80", "8 0"])
def test_numbers_refuse(given_text):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        numbers(1, 65535).read(given_text)


NAMED = named("roles by value", r"[^,]{1,20}", "[A-Z]+")


def test_words_by_name_keep_their_order_and_a_name_may_hold_the_sign():
    read = NAMED.read("cn=heads=HEAD, staff = x=GUEST")
    assert list(read.items()) == [("cn=heads", "HEAD"), ("staff = x", "GUEST")]
    assert NAMED.show(read) == "cn=heads=HEAD,staff = x=GUEST"


@pytest.mark.parametrize("text", ["", "A", "=A", "a=", "a=b", "a=A,a=B", "a=A,", "a=A,,b=B"])
def test_words_by_name_that_are_none_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        NAMED.read(text)
