"""Writes ops.json: nodes with their inputs and outputs, the outputs by ONNX
Runtime 1.32 or, where it lacks the operator set, the reference evaluator of
onnx 1.23. Inputs are small whole numbers or quarters, exact in float32.

    python ops.py > ops.json
"""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import onnxruntime

rng = np.random.default_rng(1)
cases = []
F = np.float32


def f(*shape, lo=-8, hi=9):
    """Quarters between lo/4 and hi/4, none of them zero."""
    x = rng.integers(lo, hi, shape)
    return np.asarray(np.where(x == 0, 3, x) / 4, F)


def pos(*shape):
    return f(*shape, lo=2, hi=12)


def distinct(*shape):
    n = int(np.prod(shape))
    return ((rng.permutation(n) - n // 2) / 4).astype(F).reshape(shape)


def i(*v):
    return np.array(v, np.int64)


def evaluate(model, inputs):
    try:
        s = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception:
        return ReferenceEvaluator(model).run(None, inputs)
    return s.run(None, inputs)


def case(op, opset, *inputs, **attrs):
    names = [f"i{k}" for k in range(len(inputs))]
    feeds = {n: x for n, x in zip(names, inputs) if x is not None}
    node = helper.make_node(op, [n if x is not None else "" for n, x in zip(names, inputs)], ["y"], **attrs)
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in feeds.items()]
    out = helper.make_value_info("y", onnx.TypeProto())
    graph = helper.make_graph([node], "g", infos, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    try:
        model = onnx.shape_inference.infer_shapes(model)
    except Exception:
        pass
    (y,) = evaluate(model, feeds)
    y = np.asarray(y)

    def tensor(x):
        if x is None:
            return None
        return {"type": str(x.dtype), "shape": list(x.shape), "data": [float(v) if np.isfinite(v) else str(v) for v in x.ravel()]}

    cases.append(
        {"op": op, "opset": opset, "attrs": attrs, "inputs": [tensor(x) for x in inputs], "shape": list(y.shape), "want": [float(v) for v in y.ravel()]}
    )


x = f(2, 3, 4)
for op in "ReduceSum ReduceMean ReduceSumSquare ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMin ReduceProd ReduceLogSum".split():
    x = pos(2, 3, 4) if op == "ReduceLogSum" else f(2, 3, 4) if op == "ReduceProd" else distinct(2, 3, 4)
    first = 13 if op == "ReduceSum" else 18
    old = first - 2
    case(op, old, x, axes=[1], keepdims=0)
    case(op, old, x, axes=[0, -1])
    case(op, old, x)
    case(op, 20, x, i(-1), keepdims=0)
    case(op, 20, x, i(0, 2), keepdims=0)
    case(op, 20, x, i(0, 1))
    case(op, 20, x, None, keepdims=0)
    case(op, 20, x, i())
    case(op, 20, x[:, :1], i(1), keepdims=0)
case("ReduceSum", 13, x, i(), noop_with_empty_axes=1)
case("ReduceSum", 13, f(2, 3, 2, 3), i(1, 3), keepdims=0)
case("ReduceProd", 18, f(2, 5), i(1))
case("ReduceLogSumExp", 18, f(2, 3) + F(200), i(1))
for op in "ReduceSum ReduceMax ReduceMin ReduceProd".split():
    case(op, 13, np.array([[3, -1, 2], [5, 4, -2]], np.int64), *([i(1)] if op == "ReduceSum" else []), **({} if op == "ReduceSum" else {"axes": [1]}))
for op in "ArgMax", "ArgMin":
    case(op, 13, distinct(2, 3, 4))
    case(op, 13, distinct(2, 3, 4), axis=1, keepdims=0)
    case(op, 13, distinct(2, 3, 4), axis=-1, keepdims=0)
    case(op, 13, F([[1, 2, 2], [2, 2, 1]]), axis=1)
    case(op, 13, F([[1, 2, 2], [2, 2, 1]]), axis=1, select_last_index=1)

case("Concat", 13, f(2, 3), f(2, 1), f(2, 2), axis=1)
case("Concat", 13, f(1, 3), f(2, 3), axis=-2)
case("Concat", 13, f(2, 2, 2), f(2, 1, 2), f(2, 2, 2), axis=1)
case("Concat", 13, f(3), axis=0)
case("Tile", 13, f(2, 3), i(2, 2))
case("Tile", 13, f(2, 1), i(1, 3))
case("Tile", 13, i(1, 2), i(2))
for exclusive in 0, 1:
    for reverse in 0, 1:
        case("CumSum", 14, f(2, 3), np.array(1, np.int32), exclusive=exclusive, reverse=reverse)
        case("CumSum", 14, f(3, 2), i(-2), exclusive=exclusive, reverse=reverse)
case("CumSum", 14, i(1, 2, 3), i(0))
cond = np.array([[True, False, True], [False, True, True]])
case("Where", 16, cond, f(2, 3), f(2, 3))
case("Where", 16, cond, f(3), f(2, 1))
case("Where", 16, cond[0], f(2, 3), F([7]))
case("Where", 16, np.array(True), f(2), f(2))
case("GatherElements", 13, f(2, 3), np.array([[0, -1], [1, 1]], np.int64), axis=1)
case("GatherElements", 13, f(3, 2), np.array([[2, 0]], np.int64))
case("GatherND", 13, f(2, 3, 2), np.array([[0, 1], [1, -1]], np.int64))
case("GatherND", 13, f(2, 3, 2), np.array([[1], [0]], np.int64), batch_dims=1)
case("GatherND", 13, f(2, 3), np.array([[[0, 1]], [[1, 2]]], np.int64))
for op, opset in ("Scatter", 9), ("ScatterElements", 16):
    case(op, opset, f(2, 3), np.array([[2, 0], [1, -1]], np.int64), f(2, 2), axis=1)
    case(op, opset, f(3, 2), np.array([[1, 2]], np.int64), f(1, 2))
case("ScatterElements", 16, f(1, 4), np.array([[1, 1, 3]], np.int64), f(1, 3), axis=1, reduction="add")
case("ScatterND", 16, f(4), np.array([[3], [0]], np.int64), f(2))
case("ScatterND", 16, f(2, 2, 2), np.array([[1], [0]], np.int64), f(2, 2, 2))
case("ScatterND", 16, f(2, 3), np.array([[0, 1], [0, 1], [1, 2]], np.int64), f(3), reduction="add")
for k in None, np.array(1, np.int64), np.array(-1, np.int64):
    for upper in 0, 1:
        case("Trilu", 14, f(2, 3, 4), *([] if k is None else [k]), upper=upper)

case("Mul", 14, f(2, 3), f(2, 3))
case("Mul", 14, f(2, 1), f(3))
case("Div", 14, f(2, 3), pos(3))
case("Pow", 15, pos(2, 3), f(3))
case("Pow", 15, pos(3), F([0.5, -1, 2]))
case("Pow", 15, pos(4), F([3]))
case("Pow", 15, pos(2, 1), F([0.5, -1.5, 2.25]))
for op in "Max", "Min":
    case(op, 13, distinct(3))
    case(op, 13, distinct(2, 3), F([0.125, -0.375, 0]))
    case(op, 13, f(2, 1) + F(0.125), f(3), f(2, 3) + F(0.0625))
    case(op, 8, f(2, 2) + F(0.125), f(2, 2), f(2, 2) + F(0.0625), f(2, 2) + F(0.03125))
    case(op, 13, i(1, 5), i(4, 2))
case("Sum", 13, f(2, 1), f(3), f(2, 3))
case("Mean", 13, f(2, 1), f(3), f(2, 3))
case("MatMul", 13, f(2, 3), f(3, 2))
case("MatMul", 13, f(3), f(3))
case("MatMul", 13, f(3), f(2, 3, 2))
case("MatMul", 13, f(2, 2, 3), f(3))
case("MatMul", 13, f(2, 2, 3), f(3, 2))
case("MatMul", 13, f(2, 2, 3), f(2, 3, 2))
case("MatMul", 13, f(2, 1, 2, 3), f(2, 3, 2))
case("MatMul", 13, f(1, 2, 3), f(2, 3, 2))
case("MatMul", 13, f(2, 2, 2, 3), f(2, 1, 3, 2))
case("Gemm", 13, f(2, 3), f(3, 2), f(2))
case("Gemm", 13, f(3, 2), f(3, 2), f(2, 1), transA=1, alpha=2.0, beta=0.5)
case("Gemm", 13, f(2, 3), f(4, 3), f(4), transB=1, alpha=0.5)
case("Gemm", 13, f(3, 2), f(4, 3), f(2, 4), transA=1, transB=1, beta=2.0)

for equation, shapes in [
    ("ij->ji", [(2, 3)]), ("ij->", [(2, 3)]), ("ij", [(2, 3)]), ("ji", [(2, 3)]), ("ii", [(3, 3)]), ("ii->i", [(3, 3)]), ("...ii->...i", [(2, 3, 3)]),
    ("ij->j", [(2, 3)]), ("ijk->ik", [(2, 3, 2)]), ("...j->...", [(2, 2, 3)]), ("iij->ij", [(2, 2, 3)]),
    ("i,i", [(3,), (3,)]), ("i,j", [(2,), (3,)]), ("i,j->ji", [(2,), (3,)]), ("ij,jk", [(2, 3), (3, 2)]), ("ij,jk->ki", [(2, 3), (3, 2)]),
    ("bij, bjk -> bik", [(2, 2, 3), (2, 3, 2)]), ("bij,bkj->bik", [(2, 2, 3), (2, 2, 3)]), ("bhid,bhjd->bhij", [(1, 2, 2, 3), (1, 2, 3, 3)]),
    ("bhij,bjhd->bihd", [(1, 2, 2, 3), (1, 3, 2, 2)]), ("ij,ij->ij", [(2, 3), (2, 3)]), ("ij,i->ij", [(2, 3), (2,)]), ("ij,ik->", [(2, 3), (2, 2)]),
    ("...ij,...jk->...ik", [(2, 2, 3), (2, 3, 2)]), ("...ij,jk->...ik", [(2, 2, 3), (3, 2)]), ("...i,...i->...", [(2, 3), (3,)]),
    ("b...,b...->...b", [(2, 3), (2, 3)]), ("i...,j...->ij...", [(2, 3), (2, 3)]), ("ii,ij->j", [(2, 2), (2, 3)]), ("abc,cb->a", [(2, 2, 3), (3, 2)]),
    ("i,i,i->", [(2,), (2,), (2,)]), ("ij,jk,kl->il", [(2, 2), (2, 3), (3, 2)]), ("i,ij,j->", [(2,), (2, 3), (3,)]), ("ab,cd,ef->ace", [(2, 2), (2, 2), (1, 2)]),
    ("ij,j,i->ij", [(2, 3), (3,), (2,)]), ("aB,Bc", [(2, 2), (2, 3)]), (",i->i", [(), (3,)]), ("ij,ab->", [(2, 2), (2, 2)]),
]:
    case("Einsum", 12, *[f(*s) for s in shapes], equation=equation)

x = f(2, 3)
case("Sqrt", 13, pos(4))
case("Reciprocal", 13, f(4))
case("Log", 13, pos(4))
for op, opset in ("Sinh", 9), ("Cosh", 9), ("Asinh", 9), ("Tan", 7):
    case(op, opset, x)
case("Acosh", 9, pos(4) + F(1))
for op in "Atanh", "Asin", "Acos":
    case(op, 9 if op == "Atanh" else 7, x / F(4))
case("Shrink", 9, distinct(9), lambd=0.625, bias=0.25)
case("Shrink", 9, distinct(5))

a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
for op in "And", "Or", "Xor":
    case(op, 7, a, b)
case("Not", 6, a)
for op in "GreaterOrEqual", "LessOrEqual":
    case(op, 16, F([1, 2, 3]), F([2, 2, 2]))
    case(op, 16, i(1, 2, 3), i(2))
case("Mod", 13, i(-7, 7, -7, 7, 6), i(3, -3, -3, 3, 3))
case("Mod", 13, i(-7, 7, -7, 7, 6), i(3, -3, -3, 3, 3), fmod=1)
case("Mod", 13, F([-4.25, 4.25, 5]), F([2, -2, 2.5]), fmod=1)
case("BitShift", 11, np.array([1, 2, 255], np.uint8), np.array([1, 3, 1], np.uint8), direction="LEFT")
case("BitShift", 11, np.array([16, 2, 255], np.uint8), np.array([1, 3, 1], np.uint8), direction="RIGHT")
case("Round", 11, F([-1.5, -0.5, 0.5, 1.5, 2.5, 2.75]))
case("IsNaN", 13, F([1, np.nan, np.inf]))
case("IsInf", 10, F([1, np.nan, np.inf, -np.inf]))
case("IsInf", 10, F([1, np.inf, -np.inf]), detect_negative=0)
case("IsInf", 10, F([1, np.inf, -np.inf]), detect_positive=0)
case("OneHot", 11, i(0, 2, -1, 5), np.array(3, np.int64), F([1, 5]))
case("OneHot", 11, np.array([[0, 1]], np.int64), np.array([2], np.int64), F([0, 1]), axis=0)
case("Div", 14, i(-7, 7), i(2))
case("Pow", 15, i(2, 3), i(3))
case("Sign", 13, F([-2, 0, 3]))

# The first two factors keep an axis that only the third one shares or sums.
for equation, shapes in [
    ("lij,mk,lk->jk", [(2, 3, 2), (1, 2), (2, 2)]), ("kjl,im,j->mi", [(2, 3, 1), (3, 1), (3,)]), ("i,l,mji->lm", [(2,), (1,), (1, 3, 2)]),
]:
    case("Einsum", 12, *[f(*s) for s in shapes], equation=equation)

print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
