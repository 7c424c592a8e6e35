// Package safetensors reads and writes files of named tensors in the safetensors
// format: the length of a header in eight bytes, little-endian; the header, a JSON
// object of the tensors' types, shapes and places and of strings of metadata; and
// the numbers, row by row, little-endian. Format and limits are those of the
// reference implementation, huggingface/safetensors 0.6.
//
// It is strict: what another reader could take differently is an error. Only
// tensors of float32 and float64 are held.
package safetensors

import (
	"fmt"
	"math"
)

// A File is what a file holds.
type File struct {
	// Metadata are strings, by name.
	Metadata map[string]string
	// Tensors are in no particular order in a file; Read sorts them by name, and so
	// does Write.
	Tensors []Tensor
}

// A Tensor is a named array of numbers, row by row. Narrow says that it is kept as
// float32.
type Tensor struct {
	Name   string
	Shape  []int
	Data   []float64
	Narrow bool
}

// Tensor returns the tensor with the name; nil if there is none.
func (f *File) Tensor(name string) *Tensor {
	for i := range f.Tensors {
		if f.Tensors[i].Name == name {
			return &f.Tensors[i]
		}
	}
	return nil
}

const (
	// maxHeader is the longest header of the reference implementation.
	maxHeader = 100_000_000
	// metadataKey is the entry of the header that is no tensor.
	metadataKey = "__metadata__"
)

// An entry describes a tensor in the header.
type entry struct {
	Type    string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"` // the first byte and that behind the last
}

// size returns the number of bytes of an entry of its type, 0 for others.
func (e *entry) size() int {
	switch e.Type {
	case "F64":
		return 8
	case "F32":
		return 4
	}
	return 0
}

// elements returns the number of elements of a shape.
func elements(shape []int) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("the shape %v has a negative dimension", shape)
		}
		if d > 0 && n > math.MaxInt32/int64(d) {
			return 0, fmt.Errorf("the shape %v has more than 2^31 elements", shape)
		}
		n *= int64(d)
	}
	return n, nil
}
