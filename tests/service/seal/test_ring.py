"""A ring of keys: whoever holds it has the keys that hold now."""

import pytest

from service.seal.ring import Ring
from service.seal.vault import Vault


def test_who_holds_it_sees_the_keys_turn():
    ring = Ring(b"a")
    before, held = ring[:], ring
    ring.turn((b"b", b"a"))
    assert (list(held), held.newest, len(held), before) == ([b"b", b"a"], b"b", 2, (b"a",))


@pytest.mark.parametrize("keys", [(), []])
def test_there_is_always_a_key(keys):
    with pytest.raises(ValueError, match="no key"):
        Ring(*keys)
    ring = Ring(b"a")
    with pytest.raises(ValueError, match="no key"):
        ring.turn(keys)
    assert ring.newest == b"a"


def test_a_vault_over_a_ring_seals_with_the_newest_and_opens_both():
    ring = Ring(b"a" * 32)
    vault = Vault(masters=ring)
    before, name = vault.seal(b"x", "n"), vault.key_id
    ring.turn((b"b" * 32, b"a" * 32))
    after = vault.seal(b"x", "n")
    assert (vault.open(before, "n"), vault.open(after, "n")) == (b"x", b"x")
    assert vault.key_id != name
    assert Vault(masters=(b"b" * 32,)).open(after, "n") == b"x"
    assert len(vault.digests("ann")) == 2
