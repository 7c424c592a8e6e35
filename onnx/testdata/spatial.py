"""Writes spatial.json: convolutions, pooling, padding and resizing.

    python spatial.py > spatial.json
"""

import numpy as np
from node_cases import F, case, f, i, write

SAME = ["SAME_UPPER", "SAME_LOWER"]

# Convolutions.
case("Conv", 6, f(1, 2, 5), f(3, 2, 3), f(3), kernel_shape=[3], pads=[1, 0], strides=[2])
case("Conv", 11, f(2, 1, 4), f(2, 1, 2))
x, w = f(1, 2, 4, 5), f(2, 2, 3, 2)
case("Conv", 22, x, w, f(2), pads=[1, 0, 2, 1])
case("Conv", 11, x, w, strides=[2, 3], dilations=[1, 2])
case("Conv", 11, x, f(4, 1, 2, 2), group=2)
for auto in SAME + ["VALID"]:
    case("Conv", 11, x, f(1, 2, 2, 2), auto_pad=auto, strides=[1, 2])
    case("Conv", 11, x, f(1, 2, 3, 3), auto_pad=auto, strides=[3, 2])
case("Conv", 11, x, f(1, 2, 2, 2), auto_pad="VALID", dilations=[3, 2])
case("Conv", 11, x, f(2, 2, 1, 1), auto_pad="SAME_UPPER", strides=[3, 3])
case("Conv", 11, f(1, 1, 3, 3, 4), f(2, 1, 2, 2, 2), f(2), pads=[0, 1, 0, 0, 0, 1], strides=[1, 2, 1])

# Transposed convolutions.
case("ConvTranspose", 11, f(1, 2, 3), f(2, 2, 2), f(2), strides=[2], pads=[1, 0])
x = f(1, 2, 3, 3)
case("ConvTranspose", 11, x, f(2, 1, 3, 2), strides=[3, 2], output_padding=[2, 1], pads=[1, 0, 0, 1])
case("ConvTranspose", 11, x, f(2, 2, 2, 2), f(4), group=2, dilations=[2, 1])
for shape in ([10, 8], [8, 6], [7, 4]):
    for auto in SAME + ["NOTSET"]:
        case("ConvTranspose", 11, x, f(2, 1, 3, 3), strides=[3, 2], output_shape=shape, auto_pad=auto)
for auto in SAME + ["VALID"]:
    case("ConvTranspose", 11, x, f(2, 1, 3, 4), strides=[2, 3], auto_pad=auto)
case("ConvTranspose", 22, f(1, 1, 2, 2, 2), f(1, 2, 2, 1, 2), strides=[2, 1, 1])

# Pooling.
x = f(1, 2, 5, 4)
for op, attrs in [("AveragePool", {}), ("AveragePool", {"count_include_pad": 1}), ("MaxPool", {}), ("LpPool", {})]:
    case(op, 7, x, kernel_shape=[2, 3], strides=[2, 1], pads=[1, 0, 0, 2], **attrs)
    for auto in SAME + ["VALID"]:
        case(op, 11, x, kernel_shape=[2, 3], strides=[2, 1], auto_pad=auto, **attrs)
    new = 18 if op == "LpPool" else 19 if op == "AveragePool" else 11
    for kernel, strides, pads in [([2, 2], [2, 2], [0] * 4), ([3, 3], [2, 2], [1, 1, 1, 1]), ([3, 2], [3, 3], [1, 0, 1, 1]), ([2, 2], [3, 3], [1, 1, 1, 1])]:
        case(op, new, x, kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=1, **attrs)
    case(op, new, x, kernel_shape=[2, 2], strides=[1, 2], dilations=[2, 3], pads=[1, 0, 1, 1], **attrs)
    case(op, new, x, kernel_shape=[2, 2], strides=[2, 2], dilations=[3, 2], pads=[1, 1, 0, 1], ceil_mode=1, **attrs)
    case(op, new, f(1, 2, 6), kernel_shape=[4], strides=[1], **attrs)
    case(op, new, f(1, 1, 3, 2, 3), kernel_shape=[2, 2, 2], **attrs)
case("MaxPool", 12, x, kernel_shape=[1, 1], storage_order=1)
case("MaxPool", 12, x, kernel_shape=[1, 2], strides=[2, 1])
for p in (1, 3, 4):
    case("LpPool", 11, x, kernel_shape=[2, 2], p=p)
    case("GlobalLpPool", 6, x, p=p)
case("GlobalLpPool", 6, x)
for op in ("GlobalAveragePool", "GlobalMaxPool"):
    case(op, 6, x)
    case(op, 22, f(2, 1, 3))
    case(op, 11, f(1, 2, 2, 1, 3))

# Batch normalisation.
v = np.array([0.25, 2], F)
for opset, extra in [(7, {}), (9, {"epsilon": 0.5}), (14, {"momentum": 0.5}), (15, {})]:
    case("BatchNormalization", opset, f(2, 2, 3), f(2), f(2), f(2), v, **extra)
case("BatchNormalization", 15, f(3, 2), f(2), f(2), f(2), v)
case("BatchNormalization", 7, f(2, 2, 3), f(2, 3), f(2, 3), f(2, 3), np.abs(f(2, 3)), spatial=0)

# Padding.
x = f(2, 3, 4)
case("Pad", 6, x, pads=[0, 1, 2, 1, 0, 3], value=1.5)
case("Pad", 10, x, pads=[0, -1, 2, 1, 2, -3])
for mode in ("constant", "edge", "reflect", "wrap"):
    for pads in ([0, 1, 2, 0, 2, 3], [0, -1, 2, 0, 1, -1], [0, 0, -1, 0, -2, 1]):
        if mode == "wrap" and min(pads) < 0:
            continue
        case("Pad", 19, x, i(*pads), mode=mode)
case("Pad", 11, x, i(0, 1, 2, 0, 2, 3), np.array(-2.5, F))
case("Pad", 18, x, i(2, 1, 0, 3), np.array(0.5, F), i(-1, 0))
case("Pad", 18, x, i(1, 2), None, i(1), mode="reflect")

# Resizing.
x = f(1, 1, 3, 4)


def scales(*v):
    return np.array(v, F)


for s in ([1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.5, 1.2], [1.0, 1.0, 1.5, 0.6]):
    for mode in ("nearest", "linear"):
        if min(s) >= 1:
            case("Upsample", 7, x, mode=mode, scales=s)
            case("Upsample", 9, x, scales(*s), mode=mode)
        case("Resize", 10, x, scales(*s), mode=mode)
roi = scales(0, 0, 0.25, -0.125, 1, 1, 0.75, 1.25)
for transform in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", "half_pixel_symmetric"):
    opset = 11 if transform == "tf_half_pixel_for_nn" else 19
    empty = scales() if opset == 11 else None
    r = roi if transform == "tf_crop_and_resize" else empty
    for mode in ("nearest", "linear", "cubic"):
        if mode == "cubic" and transform == "tf_crop_and_resize":
            continue  # ONNX Runtime crops linear and nearest maps only
        for size in ([1, 1, 5, 7], [1, 1, 2, 3], [1, 1, 1, 1], [1, 1, 3, 8]):
            extra = {"extrapolation_value": 8.5} if r is roi else {}
            part = r is roi and size[2] == 3  # ONNX Runtime crops nothing along an axis that keeps its size
            case("Resize", opset, x, r, empty, i(*size), mode=mode, coordinate_transformation_mode=transform, reference=part, **extra)
        # A length that is not whole is used as it is by the reference, but not by ONNX Runtime.
        part = transform in ("align_corners", "tf_crop_and_resize")
        case("Resize", opset, x, r, scales(1, 1, 1.7, 0.6), mode=mode, coordinate_transformation_mode=transform, reference=part)
for near in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
    for size in ([1, 1, 7, 6], [1, 1, 2, 2]):
        case("Resize", 13, x, None, None, i(*size), nearest_mode=near)
        case("Resize", 13, x, None, None, i(*size), nearest_mode=near, coordinate_transformation_mode="align_corners")
case("Resize", 13, x, None, scales(1, 1, 1.5, 0.6), mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
x = f(1, 1, 6, 7)
for mode in ("linear", "cubic"):
    for size in ([1, 1, 3, 2], [1, 1, 4, 5], [1, 1, 9, 4]):
        case("Resize", 18, x, None, None, i(*size), mode=mode, antialias=1)
        case("Resize", 18, x, None, None, i(*size), mode=mode, antialias=1, exclude_outside=1)
    case("Resize", 18, x, None, scales(1, 1, 0.6, 0.4), mode=mode, antialias=1)
for policy in ("stretch", "not_larger", "not_smaller"):
    case("Resize", 18, x, None, None, i(4, 5), mode="linear", axes=[3, 2], keep_aspect_ratio_policy=policy)
case("Resize", 18, x, scales(0.25, 0, 0.75, 0.5), None, i(4, 5), mode="linear", axes=[3, 2], coordinate_transformation_mode="tf_crop_and_resize")
case("Resize", 18, x, None, scales(0.5), axes=[-1])
case("Resize", 11, f(2, 3), scales(), scales(2, 1.5), mode="linear")

# Reordering.
case("SpaceToDepth", 6, f(1, 2, 4, 6), blocksize=2)
case("DepthToSpace", 6, f(1, 8, 2, 3), blocksize=2)
for mode in ("DCR", "CRD"):
    case("DepthToSpace", 13, f(2, 8, 1, 2), blocksize=2, mode=mode)

write()
