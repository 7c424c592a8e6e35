package onnx

// convOps are convolutions.
var convOps = map[string]op{}
