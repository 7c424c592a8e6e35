package onnx

// normOps normalise.
var normOps = map[string]op{}
