package onnx

// linearizedOps have a forward function but no rule, and are linearised.
var linearizedOps = map[string]op{}
