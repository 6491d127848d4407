"""What stands for an observation and its mask in the journal, so that they can be compared."""

import hashlib
import struct
from collections.abc import Sequence

from kalshiflow.agent.features import OBSERVATION_SIZE

HASH_SIZE = 16
_PACKED = struct.Struct(f"<{OBSERVATION_SIZE}dH")


def mask_bits(allowed: Sequence[int]) -> int:
    """Give a mask as a number: bit i is set where action i is allowed."""
    return sum(1 << position for position, is_allowed in enumerate(allowed) if is_allowed)


def observation_hash(observation: Sequence[float], allowed: Sequence[int]) -> bytes:
    """Give 16 bytes that stand for an observation, bit for bit, and its mask."""
    packed = _PACKED.pack(*observation, mask_bits(allowed))
    return hashlib.blake2b(packed, digest_size=HASH_SIZE).digest()
