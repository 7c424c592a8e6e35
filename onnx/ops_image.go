package onnx

// imageOps pad, resize and rearrange images.
var imageOps = map[string]op{}
