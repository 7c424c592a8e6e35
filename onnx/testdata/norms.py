"""Writes norms.json: normalisations, softmax, attention and their relatives.

    python norms.py > norms.json
"""

import numpy as np
from node_cases import case, f, i, write

x = f(2, 4, 3)
for axis in (-1, 1, 0):
    shape = x.shape[axis:] if axis >= 0 else x.shape[-1:]
    case("LayerNormalization", 17, x, f(*shape), f(*shape), axis=axis, epsilon=0.25)
case("LayerNormalization", 17, x, f(3))
case("LayerNormalization", 17, x, f(1, 3), f(4, 3), axis=1, reference=True)
for axis in (-1, 1):
    shape = x.shape[axis:] if axis >= 0 else x.shape[-1:]
    case("RMSNormalization", 23, x, f(*shape), axis=axis, epsilon=0.5, reference=True)
image = f(2, 4, 2, 3)
case("InstanceNormalization", 6, image, f(4), f(4))
case("InstanceNormalization", 22, x, f(4), f(4), epsilon=0.5)
case("GroupNormalization", 18, image, f(2), f(2), num_groups=2, reference=True)
case("GroupNormalization", 21, image, f(4), f(4), num_groups=2, epsilon=0.5)
case("GroupNormalization", 21, x, f(4), f(4), num_groups=1)
case("MeanVarianceNormalization", 13, image)
case("MeanVarianceNormalization", 9, image, axes=[0, 2, 3])
case("MeanVarianceNormalization", 13, image, axes=[1])
for p in (1, 2):
    for axis in (-1, 0, 1):
        case("LpNormalization", 13, x, p=p, axis=axis)
case("LRN", 13, f(1, 5, 2, 2), size=3, alpha=0.5, beta=0.75, bias=2.0)
case("LRN", 7, f(2, 4, 2, 1), size=5, alpha=1.0)
for op in ("Softmax", "LogSoftmax", "Hardmax"):
    for axis in (-1, 0, 1):
        case(op, 13, x, axis=axis)
    case(op, 13, x)
    for axis in (0, 1, 2):
        case(op, 11, x, axis=axis)
    case(op, 11, x)
case("Floor", 13, f(5))
case("Ceil", 13, f(5))
case("Round", 11, f(9))

# Attention; keys are scaled so that no weight is lost in float32.
q, k, v = f(2, 4, 2, 4) / 16, f(2, 2, 3, 4) / 16, f(2, 2, 3, 5)
seen = np.array([[1, 0, 1], [0, 1, 0]], bool)
case("Attention", 23, q, k, v, reference=True)
case("Attention", 23, q, k, v, seen, scale=0.75, softcap=2.0, reference=True)
case("Attention", 23, q, k, v, f(4, 2, 3) / 8, reference=True)
case("Attention", 24, q, k, v, None, None, None, i(3, 2), is_causal=1, reference=True)
past = f(2, 2, 2, 4) / 16, f(2, 2, 2, 5)
case("Attention", 23, q, k, v, None, *past, is_causal=1, reference=True)
case("Attention", 23, f(1, 3, 8) / 16, f(1, 2, 4) / 16, f(1, 2, 6), q_num_heads=4, kv_num_heads=2, reference=True)
long = f(1, 1, 4, 2) / 16, f(1, 1, 5, 2) / 16, f(1, 1, 5, 3)
case("Attention", 25, *long, left_window_size=1, right_window_size=2, reference=True)
case("Attention", 25, *long, None, None, None, i(5), is_causal=1, left_window_size=2, reference=True)
case("Attention", 25, *long, f(4, 3) / 8, None, None, i(3), reference=True)

write()
