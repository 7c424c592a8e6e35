package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop/internal/onnxpb"
)

// tensor is a constant. Real types have floats, integers and booleans ints,
// row by row.
type tensor struct {
	origin string // such as `initializer "w"`, for messages
	dtype  dtype
	shape  []int // not nil
	floats []float64
	ints   []int64
}

func (t *tensor) len() int {
	if t.dtype.isFloat() {
		return len(t.floats)
	}
	return len(t.ints)
}

// real returns the elements as real numbers.
func (t *tensor) real() []float64 {
	if t.dtype.isFloat() {
		return t.floats
	}
	x := make([]float64, len(t.ints))
	for i, v := range t.ints {
		x[i] = float64(v)
	}
	return x
}

// finite returns the elements as real numbers, or an error if one is NaN or
// infinite.
func (t *tensor) finite() ([]float64, error) {
	x := t.real()
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("element %d of the %s is %v", i, t.origin, v)
		}
	}
	return x, nil
}

// integers returns the elements of an integer tensor.
func (t *tensor) integers() ([]int64, error) {
	if t.dtype.isFloat() {
		return nil, fmt.Errorf("the %s is %v, but integers are needed", t.origin, t.dtype)
	}
	return t.ints, nil
}

// with returns a tensor of t's type and elements in another shape.
func (t *tensor) with(shape []int) *tensor {
	u := *t
	u.shape = shape
	return &u
}

// pick returns the tensor of the given shape with the elements index of t,
// where -1 is a zero.
func (t *tensor) pick(shape, index []int) *tensor {
	u := &tensor{origin: t.origin, dtype: t.dtype, shape: shape}
	if t.dtype.isFloat() {
		u.floats = make([]float64, len(index))
		for i, k := range index {
			if k >= 0 {
				u.floats[i] = t.floats[k]
			}
		}
		return u
	}
	u.ints = make([]int64, len(index))
	for i, k := range index {
		if k >= 0 {
			u.ints[i] = t.ints[k]
		}
	}
	return u
}

// constant returns the value's tensor, decoding an initializer at first use.
func (m *model) constant(v *value) (*tensor, error) {
	if v.con != nil {
		return v.con, nil
	}
	t, err := m.decodeTensor(v.raw, fmt.Sprintf("initializer %q", v.name))
	if err != nil {
		return nil, err
	}
	v.con, v.shape, v.dtype = t, t.shape, t.dtype
	return t, nil
}

// decodeTensor widens an encoded tensor.
func (m *model) decodeTensor(p *onnxpb.TensorProto, origin string) (*tensor, error) {
	t := &tensor{origin: origin, dtype: dtype(p.GetDataType())}
	fail := func(err error) (*tensor, error) { return nil, fmt.Errorf("the %s %w", origin, err) }
	if t.dtype.size() == 0 {
		return fail(fmt.Errorf("is of type %v, which is not supported", t.dtype))
	}
	if p.Segment != nil {
		return fail(errors.New("is stored in segments, which is not supported"))
	}
	shape, err := toInts(p.GetDims())
	if err != nil {
		return fail(err)
	}
	t.shape = shape
	n, err := m.limits.size(shape)
	if err != nil {
		return fail(fmt.Errorf("is too large or has no valid shape: %w", err))
	}
	switch {
	case p.GetDataLocation() == onnxpb.TensorProto_EXTERNAL:
		data, err := m.external(p, int64(n)*int64(t.dtype.size()))
		if err != nil {
			return fail(err)
		}
		t.setRaw(data, n)
	case len(p.GetRawData()) > 0 || p.RawData != nil && n == 0:
		if len(p.GetRawData()) != n*t.dtype.size() {
			return fail(fmt.Errorf("has %d bytes, but its shape %v of %v needs %d", len(p.GetRawData()), shape, t.dtype, n*t.dtype.size()))
		}
		t.setRaw(p.GetRawData(), n)
	default:
		if have := t.setTyped(p, n); have != n {
			return fail(fmt.Errorf("has %d elements, but its shape %v needs %d", have, shape, n))
		}
	}
	for _, v := range t.ints {
		if t.dtype == uint64t && v < 0 {
			return fail(errors.New("holds a uint64 above the largest int64"))
		}
	}
	return t, nil
}

// setRaw sets n elements from their little-endian bytes.
func (t *tensor) setRaw(b []byte, n int) {
	size := t.dtype.size()
	if !t.dtype.isFloat() {
		t.ints = make([]int64, n)
		for i := range t.ints {
			t.ints[i] = t.dtype.wrap(int64(littleEndian(b[i*size:], size)))
		}
		return
	}
	t.floats = make([]float64, n)
	for i := range t.floats {
		u := littleEndian(b[i*size:], size)
		switch t.dtype {
		case float16:
			t.floats[i] = fromFloat16(uint16(u))
		case bfloat16:
			t.floats[i] = fromBfloat16(uint16(u))
		case float32t:
			t.floats[i] = float64(math.Float32frombits(uint32(u)))
		default:
			t.floats[i] = math.Float64frombits(u)
		}
	}
}

func littleEndian(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// setTyped sets the elements from the field that belongs to the type, if it
// has n of them, and returns how many it has. The bits of 16-bit floats are
// stored as integers.
func (t *tensor) setTyped(p *onnxpb.TensorProto, n int) int {
	switch t.dtype {
	case float32t:
		return convert(&t.floats, p.GetFloatData(), n, func(x float32) float64 { return float64(x) })
	case float64t:
		return convert(&t.floats, p.GetDoubleData(), n, func(x float64) float64 { return x })
	case float16:
		return convert(&t.floats, p.GetInt32Data(), n, func(x int32) float64 { return fromFloat16(uint16(x)) })
	case bfloat16:
		return convert(&t.floats, p.GetInt32Data(), n, func(x int32) float64 { return fromBfloat16(uint16(x)) })
	case int64t:
		return convert(&t.ints, p.GetInt64Data(), n, func(x int64) int64 { return x })
	case uint32t, uint64t:
		return convert(&t.ints, p.GetUint64Data(), n, func(x uint64) int64 { return t.dtype.wrap(int64(x)) })
	}
	return convert(&t.ints, p.GetInt32Data(), n, func(x int32) int64 { return t.dtype.wrap(int64(x)) })
}

func convert[S, D any](dst *[]D, src []S, n int, f func(S) D) int {
	if len(src) == n {
		*dst = make([]D, n)
		for i, x := range src {
			(*dst)[i] = f(x)
		}
	}
	return len(src)
}
