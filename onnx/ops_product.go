package onnx

// productOps are products, maxima and Einstein sums of tensors.
var productOps = map[string]op{}
