"""A Bloom filter: it remembers many keys in few bits, and now and then believes to know one that it has never seen.

B. H. Bloom, *Space/Time Trade-offs in Hash Coding with Allowable Errors*, CACM 13(7), 1970. With n keys in m bits and k
hashes a new key is taken for a known one with the probability (1 − e^(−kn/m))^k; the best k is (m/n) ln 2, and an error
rate p then costs −ln p / (ln 2)² bits a key. It never forgets a key, and none can be taken out.
"""

from __future__ import annotations

import hashlib
import math

from evsim.errors import BadScenario

BITS_MAX = 1 << 33


def bits_for(keys: int, error: float) -> int:
    """How many bits keep so many keys at this error rate."""
    return math.ceil(-keys * math.log(error) / math.log(2) ** 2)


def error_of(keys: float, bits: int, hashes: int) -> float:
    """The share of new keys that are taken for known ones, with so many keys in it."""
    return float((1 - math.exp(-hashes * keys / bits)) ** hashes)


class Bloom:
    """``Bloom(1000, error=0.01)``: made for a thousand keys; with more of them it errs more often."""

    def __init__(self, keys: int, error: float = 0.01) -> None:
        if not 0 < error < 1 or keys < 1 or bits_for(keys, error) > BITS_MAX:
            raise BadScenario(
                f"a Bloom filter for {keys!r} keys with error={error!r} is refused; expected 0 < error < 1"
            )
        self.bits = bits_for(keys, error)
        self.hashes = max(1, round(self.bits / keys * math.log(2)))
        self.count = 0
        self._field = bytearray((self.bits + 7) // 8)

    def _spots(self, key: str) -> list[int]:
        """Enhanced double hashing (Dillinger and Manolios, 2004): two hashes make all the others."""
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        one, other = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1
        found = []
        for n in range(self.hashes):
            found.append(one % self.bits)
            one, other = one + other, other + n + 1
        return found

    def __contains__(self, key: str) -> bool:
        return all(self._field[spot >> 3] & (1 << (spot & 7)) for spot in self._spots(key))

    def add(self, key: str) -> None:
        """Remember a key."""
        self.count += 1
        for spot in self._spots(key):
            self._field[spot >> 3] |= 1 << (spot & 7)

    def clear(self) -> None:
        """Forget everything."""
        self._field, self.count = bytearray(len(self._field)), 0

    @property
    def error(self) -> float:
        """The share of new keys that it takes for known ones now."""
        return error_of(self.count, self.bits, self.hashes)
