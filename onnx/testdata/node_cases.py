"""Makes stored cases of nodes with their inputs and outputs, the outputs by ONNX
Runtime 1.32 or, where it differs from the standard, the reference evaluator of
onnx 1.23. Inputs are quarters, exact in float32. "floats" has the attributes
that are floats or lists of them. Used by the generators beside it.
"""

import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
rng = np.random.default_rng(2)
cases = []
F = np.float32


def f(*shape):
    """Distinct quarters, none of them zero."""
    n = int(np.prod(shape))
    x = rng.permutation(n) - n // 2
    return (np.where(x >= 0, x + 1, x) / 4).astype(F).reshape(shape)


def i(*v):
    return np.array(v, np.int64)


def case(op, opset, *inputs, reference=False, **attrs):
    names = [f"i{k}" for k in range(len(inputs))]
    feeds = {n: x for n, x in zip(names, inputs) if x is not None}
    node = helper.make_node(op, [n if x is not None else "" for n, x in zip(names, inputs)], ["y"], **attrs)
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in feeds.items()]
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if reference:
        (y,) = ReferenceEvaluator(model).run(None, feeds)
    else:
        s = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (y,) = s.run(None, feeds)
    y = np.asarray(y)

    def tensor(x):
        return None if x is None else {"type": str(x.dtype), "shape": list(x.shape), "data": [float(v) for v in x.ravel()]}

    isfloat = lambda v: isinstance(v, float) or isinstance(v, list) and v and isinstance(v[0], float)
    cases.append(
        {
            "op": op,
            "opset": opset,
            "attrs": {k: v for k, v in attrs.items() if not isfloat(v)},
            "floats": {k: v for k, v in attrs.items() if isfloat(v)},
            "inputs": [tensor(x) for x in inputs],
            "shape": list(y.shape),
            "want": [float(v) for v in y.ravel()],
        }
    )


def write():
    print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
