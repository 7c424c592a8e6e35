// Command pair writes the quadrature of kernel.PairIntegrals.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/covprop/covprop/internal/_gen/emit"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	integrals(isa{"AVX512", 8, 4, ZMM, VBROADCASTSD, emit.F64x1, emit.ExpInRange512})
	integrals(isa{"AVX2", 4, 2, YMM, VMOVUPD, emit.F64x4, emit.ExpInRange256})
	Generate()
}

// An isa is what differs between the instruction sets.
type isa struct {
	name     string
	lanes    int
	unroll   int // nodes whose exponentials are computed together
	register func() VecVirtual
	constant func(ops ...Op) // loads what number returns
	number   func(float64) Mem
	exp      func(x ...VecVirtual)
}

const (
	unroll = 4    // nodes in a turn of the loop: kernel.pairUnroll
	lowest = -600 // kernel.pairLowest
	node   = 24   // bytes of a node: 1/x^2, x^2, w x
)

// inverseSquare is 1/(1+z)^2, 0 <= z <= kernel.PairLongest, by minimax, the
// highest power first; its error is below 1e-16.
var inverseSquare = [...]float64{
	3.5314175842970890372,
	-7.8246855099002406085,
	9.7799978060012670565,
	-9.7568754451582255083,
	8.9663546129671277103,
	-7.9967518208410744031,
	6.9997832212013735665,
	-5.9999902409406183906,
	4.9999997166539813404,
	-3.9999999950862575244,
	2.9999999999555942973,
	-1.9999999999998419159,
	0.99999999999999990652,
}

// integrals writes a function for vectors of integrals.
func integrals(v isa) {
	TEXT("pair"+v.name, NOSPLIT, "func(dst, a, b, s, t *float64, vectors int, nodes *float64, turns int)")
	Doc("pair" + v.name + " computes vectors of integrals with 4 turns nodes.")
	Pragma("noescape")
	var ptr [5]Mem // dst, a, b, s, t
	for i, name := range []string{"dst", "a", "b", "s", "t"} {
		ptr[i] = Mem{Base: Load(Param(name), GP64())}
	}
	vectors := Load(Param("vectors"), GP64())
	nodes, turns := Load(Param("nodes"), GP64()), Load(Param("turns"), GP64())

	Label("vector")
	sum, k, at := v.register(), GP64(), GP64()
	VXORPD(sum, sum, sum)
	MOVQ(turns, k)
	MOVQ(nodes, at)
	Label("turn")
	for first := 0; first < unroll; first += v.unroll {
		v.nodes(Mem{Base: at, Disp: first * node}, ptr, sum)
	}
	ADDQ(Imm(unroll*node), at)
	DECQ(k)
	JNZ(LabelRef("turn"))
	VMOVUPD(sum, ptr[0])
	for _, p := range ptr {
		ADDQ(Imm(uint64(8*v.lanes)), p.Base)
	}
	DECQ(vectors)
	JNZ(LabelRef("vector"))
	VZEROUPPER()
	RET()
}

// nodes adds the terms of v.unroll nodes,
//
//	w x (t - x^2)/(1 + s x^2)^2 exp(-a/x^2 - b x^2).
func (v isa) nodes(at Mem, ptr [5]Mem, sum VecVirtual) {
	n := v.unroll
	square, z, factor, e := v.registers(n), v.registers(n), v.registers(n), v.registers(n)
	a, b, s, t := v.register(), v.register(), v.register(), v.register()
	VMOVUPD(ptr[3], s)
	for i := range n {
		VBROADCASTSD(at.Offset(i*node+8), square[i])
		VMULPD(s, square[i], z[i])
		v.constant(v.number(inverseSquare[0]), factor[i])
	}
	for _, c := range inverseSquare[1:] {
		power := v.register()
		v.constant(v.number(c), power)
		for i := range n {
			VFMADD213PD(power, z[i], factor[i]) // factor = factor z + c
		}
	}
	VMOVUPD(ptr[1], a)
	VMOVUPD(ptr[2], b)
	VMOVUPD(ptr[4], t)
	for i := range n {
		inverse, weight := v.register(), v.register()
		VBROADCASTSD(at.Offset(i*node), inverse)
		VXORPD(e[i], e[i], e[i])
		VFNMADD231PD(a, inverse, e[i])
		VFNMADD231PD(b, square[i], e[i])
		VSUBPD(square[i], t, square[i])
		VBROADCASTSD(at.Offset(i*node+16), weight)
		VMULPD(weight, square[i], square[i])
		VMULPD(square[i], factor[i], factor[i])
	}
	low := v.register()
	v.constant(v.number(lowest), low)
	for i := range n {
		VMAXPD(e[i], low, e[i]) // NaN stays: it is the second source, the first in Go's order
	}
	v.exp(e...)
	for i := range n {
		VFMADD231PD(e[i], factor[i], sum)
	}
}

func (v isa) registers(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = v.register()
	}
	return r
}
