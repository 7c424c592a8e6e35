package onnx

// reduceOps reduce axes.
var reduceOps = map[string]op{}
