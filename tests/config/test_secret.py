"""A secret shows itself to nobody who does not ask for it by name."""

import copy
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from config.secret import MASK, Secret

CANARY = "canary-5f1c9a7e"


class Holder(msgspec.Struct, frozen=True):
    secret: Secret


@pytest.mark.parametrize(
    "told",
    [
        repr,
        str,
        format,
        ascii,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>20}",
        lambda secret: f"{secret:>20}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - old formatting is under test too
        lambda secret: str([secret, {"a": secret}]),
        lambda secret: repr(Holder(secret)),
    ],
)
def test_every_way_to_print_it_shows_the_mask(told):
    shown = told(Secret(CANARY))
    assert MASK in shown
    assert CANARY not in shown


def test_it_is_revealed_on_request_only():
    assert Secret(CANARY).reveal() == CANARY
    assert not hasattr(Secret(CANARY), "__dict__")


def test_a_pickle_holds_the_mask():
    pickled = pickle.dumps({"key": Secret(CANARY)})
    assert CANARY.encode() not in pickled
    assert pickle.loads(pickled)["key"].reveal() == MASK  # noqa: S301 - our own bytes


def test_a_copy_is_the_secret_itself():
    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
def test_msgspec_refuses_it(encode):
    with pytest.raises(TypeError) as refused:
        encode(Holder(Secret(CANARY)))
    assert CANARY not in str(refused.value)


def test_json_refuses_it():
    with pytest.raises(TypeError):
        json.dumps(Secret(CANARY))


def test_equality_compares_values_and_only_secrets():
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret(CANARY + "x")
    assert Secret(CANARY) != CANARY
    assert Secret("\udcff") == Secret("\udcff")
    assert len({Secret(CANARY), Secret(CANARY), Secret("other")}) == 2


def fail_with(secret):
    raise RuntimeError(secret)


def test_no_log_line_and_no_traceback_shows_it(caplog):
    secret = Secret(CANARY)
    logging.getLogger("config").error("key is %s", secret)
    with pytest.raises(RuntimeError) as raised:
        fail_with(secret)
    told = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "key is ***" in caplog.text
    assert MASK in told
    assert CANARY not in told
