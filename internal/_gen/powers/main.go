// Command powers writes the sums of kernel.PowersTo and kernel.Powers3To.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/covprop/covprop/internal/_gen/emit"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, v := range []isa{
		{"AVX512", 8, ZMM, emit.F64x1, VBROADCASTSD, [2]int{4, 4}},
		{"AVX2", 4, YMM, emit.F64x4, VMOVUPD, [2]int{4, 2}},
	} {
		v.powers("powers"+v.name, 1, v.group[0])
		v.powers("powers3"+v.name, 3, v.group[1])
	}
	Generate()
}

// An isa is what differs between the instruction sets.
type isa struct {
	name     string
	lanes    int
	register func() VecVirtual
	number   func(float64) Mem
	constant func(ops ...Op)
	group    [2]int // vectors side by side, for one sum and for three: their chains hide each other's latency
}

// powers writes a function for so many sums.
func (v isa) powers(name string, sums, group int) {
	TEXT(name, NOSPLIT, "func(dst, rho, x, h *float64, vectors, order, stride, apart int)")
	Doc(fmt.Sprintf("%s computes %d sums for vectors of columns, at least 1, and orders, at least 1. stride and apart, that between the sums in dst, are in bytes.", name, sums))
	Pragma("noescape")
	dst, rho := Load(Param("dst"), GP64()), Load(Param("rho"), GP64())
	x, h := Load(Param("x"), GP64()), Load(Param("h"), GP64())
	vectors, order := Load(Param("vectors"), GP64()), Load(Param("order"), GP64())
	stride, apart := Load(Param("stride"), GP64()), Load(Param("apart"), GP64())
	for _, n := range []int{group, 1} {
		next := fmt.Sprint("after", n)
		Label(fmt.Sprint("group", n))
		CMPQ(vectors, Imm(uint64(n)))
		JLT(LabelRef(next))
		v.columns(n, sums, dst, rho, x, h, order, stride, apart)
		step := U32(8 * v.lanes * n)
		ADDQ(step, dst)
		ADDQ(step, rho)
		ADDQ(step, h)
		SUBQ(Imm(uint64(n)), vectors)
		JMP(LabelRef(fmt.Sprint("group", n)))
		Label(next)
	}
	VZEROUPPER()
	RET()
}

// columns computes the sums of n vectors of columns.
func (v isa) columns(n, sums int, dst, rho, x, h, order, stride, apart Register) {
	r, p, s := v.registers(n), v.registers(n), v.registers(n*sums)
	for i := range n {
		VMOVUPD(Mem{Base: rho, Disp: 8 * v.lanes * i}, r[i])
		v.constant(v.number(1), p[i])
	}
	for _, z := range s {
		VXORPD(z, z, z)
	}
	k, at, row := GP64(), GP64(), GP64()
	MOVQ(order, k)
	MOVQ(x, at)
	MOVQ(h, row)
	loop := fmt.Sprint("order", n)
	Label(loop)
	c := v.registers(sums)
	for m := range c {
		VBROADCASTSD(Mem{Base: at, Disp: 8 * m}, c[m])
	}
	for i := range n {
		t := v.register()
		VMULPD(Mem{Base: row, Disp: 8 * v.lanes * i}, p[i], t)
		VMULPD(r[i], p[i], p[i])
		for m := range c {
			VFMADD231PD(t, c[m], s[i*sums+m])
		}
	}
	ADDQ(Imm(uint64(8*sums)), at)
	ADDQ(stride, row)
	DECQ(k)
	JNZ(LabelRef(loop))
	out := GP64()
	MOVQ(dst, out)
	for m := range sums {
		for i := range n {
			VMOVUPD(s[i*sums+m], Mem{Base: out, Disp: 8 * v.lanes * i})
		}
		if m+1 < sums {
			ADDQ(apart, out)
		}
	}
}

func (v isa) registers(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = v.register()
	}
	return r
}
