"""Runs the models in testdata/written with ONNX Runtime (see TestWriteRuntime)."""

import glob
import os

import numpy as np
import onnx
import onnxruntime

here = os.path.dirname(os.path.abspath(__file__))
for path in sorted(glob.glob(os.path.join(here, "written", "*.onnx"))):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path)
    (info,) = session.get_inputs()
    free = info.shape[0] == "rows"
    shape = [1] + info.shape[1:] if free else info.shape
    x = np.resize(np.array([0.5, -1, 2, -0.25], np.float32), np.prod(shape)).reshape(shape)
    outputs = session.run(None, {"x": x})
    if free:  # any number of rows
        for one, two in zip(outputs, session.run(None, {"x": np.concatenate([0.5 * x, x])})):
            assert two.shape == (2,) + one.shape[1:] and np.allclose(two[1], one[0])
    with open(path[: -len(".onnx")] + ".txt", "w") as f:
        for y in outputs:
            f.write(" ".join("%.9g" % v for v in y.ravel()) + "\n")
