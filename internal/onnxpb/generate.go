// Package onnxpb holds the Go types of the ONNX file format, generated from
// onnx.proto (ONNX 1.23.2, Apache-2.0, https://github.com/onnx/onnx).
//
// To regenerate, install protoc and run go generate in this folder.
package onnxpb

//go:generate sh -c "go build -o /tmp/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go && protoc --plugin=/tmp/protoc-gen-go --go_out=. --go_opt=paths=source_relative --go_opt=Monnx.proto=github.com/covprop/covprop/internal/onnxpb onnx.proto"
