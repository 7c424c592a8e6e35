package onnx

// attentionOps are attention and its parts.
var attentionOps = map[string]op{}
