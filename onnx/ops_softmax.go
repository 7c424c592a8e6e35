package onnx

// softmaxOps are softmax and its relatives.
var softmaxOps = map[string]op{}
