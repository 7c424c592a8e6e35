// Package emit holds pieces of assembly that several generators use:
// constants, and exp over vector registers of float64.
//
// All macros take avo's virtual registers and allocate their own temporaries.
// Constants are memory operands (broadcast from one number with AVX-512, four
// copies with AVX2), so that nothing stays occupied between two uses.
package emit

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// constants holds the data sections made so far, by name.
var constants = map[string]Mem{}

// Data returns read-only memory that holds the values. The same name must
// stand for the same values.
func Data(name string, values ...uint64) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i, v := range values {
		DATA(8*i, U64(v))
	}
	constants[name] = m
	return m
}

// U64x1 returns memory with v, for the broadcasting instructions of AVX-512.
func U64x1(v uint64) Mem { return Data(fmt.Sprintf("q%016x", v), v) }

// U64x4 returns memory with four copies of v, for AVX2.
func U64x4(v uint64) Mem { return Data(fmt.Sprintf("y%016x", v), v, v, v, v) }

// F64x1 is U64x1 of the bits of v.
func F64x1(v float64) Mem { return U64x1(math.Float64bits(v)) }

// F64x4 is U64x4 of the bits of v.
func F64x4(v float64) Mem { return U64x4(math.Float64bits(v)) }

// Aligned is Data at an address divisible by 64, the length of a ZMM register
// and of a cache line, for as many values as fill whole lines. It emits code:
// the result has a register for its base.
//
// The linker aligns data to 32 bytes, which would split every load between two
// lines half of the time. So the values are there twice, the second time after
// another 32 bytes, and the code takes the copy that is aligned.
func Aligned(name string, values ...uint64) Mem {
	if len(values)%8 != 0 {
		panic("emit: no whole number of lines: " + name)
	}
	twice := append(append(values[:len(values):len(values)], 0, 0, 0, 0), values...)
	base, odd := GP64(), GP64()
	LEAQ(Data(name, twice...), base)
	MOVQ(base, odd)
	ANDQ(Imm(32), odd)
	IMUL3Q(U32(len(values)/4+1), odd, odd) // 0 or the distance of the copies
	ADDQ(odd, base)
	return Mem{Base: base}
}
