package onnx

// poolOps pool windows.
var poolOps = map[string]op{}
