// Package npy decodes NumPy's .npy format: arrays of real numbers, with the header
// checked before anything is allocated. The elements are read by npyio.
package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"codeberg.org/sbinet/npyio"
)

// headerFormat is the header that NumPy and its imitators write. npyio takes
// apart only this and trusts it, so nothing else is handed on.
var headerFormat = regexp.MustCompile(`^\{'descr': '([<>|=]?)([fiub])([1248])', 'fortran_order': (True|False), 'shape': (\((?:[0-9]+, ?)*[0-9]*\)), \} *\n$`)

// Decode decodes a NumPy array of floats or integers, of any number of
// dimensions, in C or Fortran order, to C order. It has at least one number and at
// most limit, not all of which need be finite.
func Decode(data []byte, limit int) (numbers []float64, shape []int, err error) {
	h, err := parseHeader(data)
	if err != nil {
		return nil, nil, err
	}
	n := 1
	for _, d := range h.shape {
		if d > 0 && n > limit/d {
			return nil, nil, fmt.Errorf("has more than the %d numbers that are of use here", limit)
		}
		n *= d
	}
	switch have := len(data) - h.offset; {
	case n == 0:
		return nil, nil, errEmpty
	case have < n*h.size:
		return nil, nil, fmt.Errorf("is cut short: an array of %d numbers of %d bytes each has only %d bytes", n, h.size, have)
	case have > n*h.size:
		return nil, nil, fmt.Errorf("has %d bytes after its array", have-n*h.size)
	}
	numbers, err = elements(data, h.kind)
	if err != nil {
		return nil, nil, err
	}
	if len(numbers) != n {
		return nil, nil, fmt.Errorf("yields %d numbers, but its shape has %d", len(numbers), n)
	}
	if h.fortran && len(h.shape) > 1 {
		numbers = fromFortran(numbers, h.shape)
	}
	return numbers, h.shape, nil
}

var errEmpty = errors.New("has no numbers")

type array struct {
	kind    string // letter and size of the elements, such as "f8"
	size    int    // of an element, in bytes
	fortran bool
	shape   []int
	offset  int // of the first element
}

func parseHeader(data []byte) (array, error) {
	if len(data) == 0 {
		return array{}, errEmpty
	}
	if len(data) < 10 || !bytes.HasPrefix(data, []byte("\x93NUMPY")) {
		return array{}, errors.New("is not a .npy file")
	}
	var start, length int
	switch major := data[6]; {
	case major == 1:
		start, length = 10, int(binary.LittleEndian.Uint16(data[8:]))
	case major == 2 && len(data) >= 12:
		start, length = 12, int(binary.LittleEndian.Uint32(data[8:]))
	default:
		return array{}, fmt.Errorf("has version %d of the .npy format; only 1 and 2 are read", major)
	}
	if length > len(data)-start {
		return array{}, errors.New("is cut short within its header")
	}
	m := headerFormat.FindSubmatch(data[start : start+length])
	if m == nil {
		return array{}, errors.New("is not an array of real numbers: its header cannot be read")
	}
	h := array{
		kind:    string(m[2]) + string(m[3]),
		size:    int(m[3][0] - '0'),
		fortran: string(m[4]) == "True",
		offset:  start + length,
	}
	for s := range strings.SplitSeq(strings.Trim(string(m[5]), "()"), ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		d, err := strconv.Atoi(s)
		if err != nil {
			return array{}, fmt.Errorf("has a dimension of %s", s)
		}
		h.shape = append(h.shape, d)
	}
	return h, nil
}

// elements reads the elements, of the given kind, in the order of the file.
func elements(data []byte, kind string) ([]float64, error) {
	switch kind {
	case "f8":
		return read[float64](data)
	case "f4":
		return read[float32](data)
	case "i8":
		return read[int64](data)
	case "i4":
		return read[int32](data)
	case "i2":
		return read[int16](data)
	case "i1":
		return read[int8](data)
	case "u8":
		return read[uint64](data)
	case "u4":
		return read[uint32](data)
	case "u2":
		return read[uint16](data)
	case "u1":
		return read[uint8](data)
	}
	return nil, fmt.Errorf("holds elements of type %s; only f4, f8 and integers are read", kind)
}

func read[T float64 | float32 | int64 | int32 | int16 | int8 | uint64 | uint32 | uint16 | uint8](data []byte) ([]float64, error) {
	var elements []T
	if err := npyio.Read(bytes.NewReader(data), &elements); err != nil {
		return nil, err
	}
	numbers := make([]float64, len(elements))
	for i, x := range elements {
		numbers[i] = float64(x)
	}
	return numbers, nil
}

// fromFortran returns a, whose first index runs fastest, with the last index
// running fastest.
func fromFortran(a []float64, shape []int) []float64 {
	b := make([]float64, len(a))
	index := make([]int, len(shape))
	for i := range b {
		from, stride := 0, 1
		for k, d := range shape {
			from += index[k] * stride
			stride *= d
		}
		b[i] = a[from]
		for k := len(shape) - 1; k >= 0; k-- {
			if index[k]++; index[k] < shape[k] {
				break
			}
			index[k] = 0
		}
	}
	return b
}
