// Command peak writes loops of fused multiply-adds in registers, which nothing
// holds up but the units that execute them.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/covprop/covprop/internal/_gen/emit"
)

// Two units with a latency of four cycles need eight sums under way; some
// processors have five cycles. There are as many sums as fit whole in the
// registers beside the two factors.
const (
	sums512 = 24 // of 32 registers
	sums2   = 12 // of 16
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, f := range formats {
		loop("peak"+f.name+"AVX512", sums512, 64/f.size, ZMM, f)
		loop("peak"+f.name+"AVX2", sums2, 32/f.size, YMM, f)
	}
	Generate()
}

// A format is a floating-point type.
type format struct {
	name      string
	size      int
	half, one uint64 // 1/2 and 1 in 64 bits, twice if there is room
	fma       func(...Op)
}

var formats = []format{
	{"64", 8, math.Float64bits(.5), math.Float64bits(1), VFMADD213PD},
	{"32", 4, twice(.5), twice(1), VFMADD213PS},
}

func twice(x float32) uint64 { return uint64(math.Float32bits(x)) * (1<<32 | 1) }

// loop writes s = s x + y for each of the sums, as often as the caller says,
// with x = 1/2 and y = 1, so that all stay between 0 and 2.
func loop[V Register](name string, sums, lanes int, register func() V, f format) {
	TEXT(name, NOSPLIT, "func(turns int) (fmas int)")
	Doc(fmt.Sprintf("%s makes %d fused multiply-adds a turn, in %d chains of vectors, and", name, sums*lanes, sums),
		"returns how many that is in all. turns is at least 1.")
	turns, fmas := Load(Param("turns"), GP64()), GP64()
	IMUL3Q(U32(sums*lanes), turns, fmas)
	Store(fmas, ReturnIndex(0))
	x, y, s := register(), register(), make([]V, sums)
	VBROADCASTSD(emit.U64x1(f.half), x)
	VBROADCASTSD(emit.U64x1(f.one), y)
	for i := range s {
		s[i] = register()
		VBROADCASTSD(emit.U64x1(f.one), s[i])
	}
	Label("turn")
	for _, s := range s {
		f.fma(y, x, s)
	}
	DECQ(turns)
	JNZ(LabelRef("turn"))
	VZEROUPPER()
	RET()
}
