"""Writes rotary.json: rotary position embeddings.

    python rotary.py > rotary.json
"""

import numpy as np

from node_cases import case, f, write


def angles(*shape):
    a = np.arange(np.prod(shape)).reshape(shape) * 0.7 + 0.3
    return np.cos(a).astype(np.float32), np.sin(a).astype(np.float32)


x, packed = f(2, 3, 2, 6), f(2, 2, 12)  # batch 2, length 2
ids = np.array([[4, 1], [0, 3]], np.int64)
for interleaved in (0, 1):
    for dim in (0, 4):
        half = (dim or 6) // 2
        by_id, by_place = angles(5, half), angles(2, 2, half)
        case("RotaryEmbedding", 23, x, *by_id, ids, reference=True, interleaved=interleaved, rotary_embedding_dim=dim)
        case("RotaryEmbedding", 24, x, *by_place, reference=True, interleaved=interleaved, rotary_embedding_dim=dim)
        heads = {"num_heads": 2, "interleaved": interleaved, "rotary_embedding_dim": dim}
        case("RotaryEmbedding", 23, packed, *by_id, ids, reference=True, **heads)
        case("RotaryEmbedding", 23, packed, *by_place, reference=True, **heads)

write()
