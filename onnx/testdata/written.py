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
    x = np.array([[0.5, -1, 2]], np.float32)
    rows = session.run(["y", "hidden"], {"x": x})
    twice = session.run(["y", "hidden"], {"x": np.concatenate([x, x])})
    assert twice[0].shape == (2, 2) and np.allclose(twice[0][1], rows[0][0])
    with open(path[: -len(".onnx")] + ".txt", "w") as f:
        for row in rows:
            f.write(" ".join("%.9g" % v for v in row.ravel()) + "\n")
