package onnx

import "io"

// HasAttribute is for tests that give operators random attributes.
var HasAttribute = hasAttribute

// DescribeFrom is Describe for the fuzzer, which has no file.
func (im Importer) DescribeFrom(r io.Reader) (*Description, error) {
	m, err := im.read(r, "")
	if err != nil {
		return nil, err
	}
	return m.describe(), nil
}
