package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/covprop/covprop"
)

const (
	maxParts = 1 << 20 // messages and names in a file: bounds the decoder's memory
	maxDepth = 100     // nesting of messages
	maxRank  = 32      // dimensions of a tensor
	maxWork  = 1 << 34 // multiplications and copies done by constant folding
)

// limits is what a model may still use up.
type limits struct {
	maxBytes    int64 // as given, for messages
	bytes       int64 // of the file and its external data
	elements    int   // of one tensor
	allElements int64 // of all tensors made here rather than read
	granted     int64 // what allElements has been
	work        int64
}

func (im Importer) limits() (*limits, error) {
	l := &limits{maxBytes: im.MaxBytes, elements: im.MaxElements, work: maxWork}
	if l.maxBytes < 0 || l.elements < 0 {
		return nil, errors.New("cannot be read within a negative limit")
	}
	if l.maxBytes == 0 {
		l.maxBytes = DefaultMaxBytes
	}
	if l.elements == 0 {
		l.elements = DefaultMaxElements
	}
	l.bytes = l.maxBytes
	l.grant(l.maxBytes / 8)
	return l, nil
}

// readAll reads r to its end.
func (l *limits) readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, l.bytes+min(1, math.MaxInt64-l.bytes)))
	if err != nil {
		return nil, err
	}
	return data, l.takeBytes(int64(len(data)))
}

// grant allows n more elements to be made.
func (l *limits) grant(n int64) {
	l.allElements += n
	l.granted += n
}

// takeBytes accounts for n bytes of the file or its external data. Each allows
// an element to be made from it, so that large weights can be rearranged but a
// small file cannot take much memory.
func (l *limits) takeBytes(n int64) error {
	if n > l.bytes {
		return fmt.Errorf("the model with its external data is larger than the limit of %s", covprop.FormatBytes(l.maxBytes))
	}
	l.bytes -= n
	l.grant(n)
	return nil
}

// size returns the number of elements of a tensor, which may be 0.
func (l *limits) size(shape []int) (int, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("a tensor has %d dimensions, more than %d", len(shape), maxRank)
	}
	n, empty := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("the shape %v has a negative dimension", shape)
		case d == 0:
			empty = true
		case n > l.elements/d:
			return 0, fmt.Errorf("a tensor of shape %v has more elements than the limit of %d", shape, l.elements)
		default:
			n *= d
		}
	}
	if empty {
		return 0, nil
	}
	return n, nil
}

// take accounts for n elements that are about to be allocated.
func (l *limits) take(n int) error {
	if int64(n) > l.allElements {
		return fmt.Errorf("the constants and tables made from the model would take more memory than the %s that its size allows", covprop.FormatBytes(8*l.granted))
	}
	l.allElements -= int64(n)
	return nil
}

// spend accounts for the product of the factors in multiplications.
func (l *limits) spend(factors ...int) error {
	n := l.work
	for _, f := range factors {
		n /= int64(max(f, 1))
	}
	if n == 0 {
		return fmt.Errorf("its constants take too long to compute")
	}
	n = 1
	for _, f := range factors {
		n *= int64(f)
	}
	l.work -= n
	return nil
}

var errWire = errors.New("malformed")

// countParts walks over encoded protobuf without decoding it and reports an
// error if it has more messages and repeated strings than *left or is
// malformed: each costs the decoder far more memory than bytes in the file.
func countParts(b []byte, md protoreflect.MessageDescriptor, left *int, depth int) error {
	if depth == 0 {
		return fmt.Errorf("its messages are nested more than %d deep", maxDepth)
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return errWire
		}
		field := b[:n]
		b = b[n:]
		fd := md.Fields().ByNumber(num)
		if fd == nil || typ != protowire.BytesType || fd.Message() == nil && !repeatedBytes(fd) {
			continue
		}
		if *left--; *left < 0 {
			return fmt.Errorf("it has more than %d parts", maxParts)
		}
		if fd.Message() != nil {
			inner, _ := protowire.ConsumeBytes(field)
			if err := countParts(inner, fd.Message(), left, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeatedBytes reports whether fd is a list of strings or byte strings.
func repeatedBytes(fd protoreflect.FieldDescriptor) bool {
	return fd.IsList() && (fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind)
}
