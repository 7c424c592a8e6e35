package onnx

// joinOps join, repeat and accumulate tensors.
var joinOps = map[string]op{}
