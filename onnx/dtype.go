package onnx

import (
	"fmt"
	"math"
	"strings"

	"github.com/covprop/covprop/internal/onnxpb"
)

// dtype is an element type of ONNX.
type dtype onnxpb.TensorProto_DataType

const (
	float16  = dtype(onnxpb.TensorProto_FLOAT16)
	bfloat16 = dtype(onnxpb.TensorProto_BFLOAT16)
	float32t = dtype(onnxpb.TensorProto_FLOAT)
	float64t = dtype(onnxpb.TensorProto_DOUBLE)
	int8t    = dtype(onnxpb.TensorProto_INT8)
	int16t   = dtype(onnxpb.TensorProto_INT16)
	int32t   = dtype(onnxpb.TensorProto_INT32)
	int64t   = dtype(onnxpb.TensorProto_INT64)
	uint8t   = dtype(onnxpb.TensorProto_UINT8)
	uint16t  = dtype(onnxpb.TensorProto_UINT16)
	uint32t  = dtype(onnxpb.TensorProto_UINT32)
	uint64t  = dtype(onnxpb.TensorProto_UINT64)
	boolt    = dtype(onnxpb.TensorProto_BOOL)
)

// isFloat reports whether d is a real type that is supported.
func (d dtype) isFloat() bool {
	return d == float16 || d == bfloat16 || d == float32t || d == float64t
}

// size returns the bytes of an element, 0 for types that are not supported.
func (d dtype) size() int {
	switch d {
	case int8t, uint8t, boolt:
		return 1
	case float16, bfloat16, int16t, uint16t:
		return 2
	case float32t, int32t, uint32t:
		return 4
	case float64t, int64t, uint64t:
		return 8
	}
	return 0
}

// String returns the type's name with its bits, such as "float32".
func (d dtype) String() string {
	switch d {
	case float32t:
		return "float32"
	case float64t:
		return "float64"
	}
	name, ok := onnxpb.TensorProto_DataType_name[int32(d)]
	if !ok {
		return fmt.Sprintf("type %d", int32(d))
	}
	return strings.ToLower(name)
}

// round returns x as d stores it.
func (d dtype) round(x float64) float64 {
	switch d {
	case float16:
		return roundBits(x, 10, -14, 65504)
	case bfloat16:
		return roundBits(x, 7, -126, 0x1.FEp127)
	case float32t:
		return float64(float32(x))
	}
	return x
}

// roundBits rounds x to the nearest number, ties to even, with the given bits
// after the leading one, smallest normal exponent and largest finite value.
func roundBits(x float64, bits, minExp int, largest float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	_, e := math.Frexp(x) // |x| in [2^(e-1), 2^e)
	ulp := math.Ldexp(1, max(e-1, minExp)-bits)
	if x = math.RoundToEven(x/ulp) * ulp; math.Abs(x) > largest {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return x
}

// wrap returns x as the integer type d stores it, modulo its range.
func (d dtype) wrap(x int64) int64 {
	switch d {
	case int8t:
		return int64(int8(x))
	case int16t:
		return int64(int16(x))
	case int32t:
		return int64(int32(x))
	case uint8t:
		return int64(uint8(x))
	case uint16t:
		return int64(uint16(x))
	case uint32t:
		return int64(uint32(x))
	case boolt:
		return boolInt(x != 0)
	}
	return x
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// fromFloat16 widens the bits of an IEEE 754 half.
func fromFloat16(b uint16) float64 {
	sign := 1 - 2*float64(b>>15)
	exp, frac := int(b>>10&0x1f), float64(b&0x3ff)
	switch {
	case exp == 0:
		return sign * math.Ldexp(frac, -24)
	case exp < 31:
		return sign * math.Ldexp(1024+frac, exp-25)
	case frac == 0:
		return math.Inf(int(sign))
	}
	return math.NaN()
}

// fromBfloat16 widens the upper half of a float32.
func fromBfloat16(b uint16) float64 {
	return float64(math.Float32frombits(uint32(b) << 16))
}
