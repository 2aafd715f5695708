"""A random order of very many things without a table of them: where one of them stands is computed."""

ROUNDS = 8
WORD = 2**64 - 1


def permute(place: int, count: int, key: int) -> int:
    """Where the permutation of range(count) that a 64-bit `key` names sends `place`; it takes no memory.

    A Feistel network on the next even number of bits, gone through until it ends in the range (Black and Rogaway
    2002, "Ciphers with Arbitrary Finite Domains"): less than four times on average.
    """
    half = ((count - 1).bit_length() + 1) // 2
    mask = (1 << half) - 1
    while True:
        left, right = place >> half, place & mask
        for turn in range(ROUNDS):
            left, right = right, left ^ (_mix(key, turn << half | right) & mask)
        place = left << half | right
        if place < count:
            return place


def _mix(key: int, number: int) -> int:
    """A hash of both: the output of SplitMix64 (Steele, Lea and Flood 2014) that has the number, from the key on."""
    bits = (key + (number + 1) * 0x9E3779B97F4A7C15) & WORD
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & WORD
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & WORD
    return bits ^ bits >> 31
