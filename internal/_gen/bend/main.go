// Command bend writes the quadrature of kernel.BendIntegralsTo.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/covprop/covprop/internal/_gen/emit"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	integrals("bendAVX512", 8, ZMM, emit.ExpInRange512, func(m Mem, x VecVirtual) { VBROADCASTSD(m, x) }, emit.F64x1)
	integrals("bendAVX2", 4, YMM, emit.ExpInRange256, func(m Mem, x VecVirtual) { VMOVUPD(m, x) }, emit.F64x4)
	Generate()
}

// integrals writes a function for groups of integrals, two registers wide with
// ZMM registers and one with YMM registers, of which there are fewer.
func integrals(name string, lanes int, register func() VecVirtual, exp func(...VecVirtual), load func(Mem, VecVirtual), number func(float64) Mem) {
	TEXT(name, NOSPLIT, "func(dst, p, q, s, lo, length *float64, groups int, nodes, weights *float64, count int)")
	Doc(name + " is BendIntegralsTo for so many groups of vectors.")
	Pragma("noescape")
	width := 1
	if lanes == 8 {
		width = 2
	}
	var ptr [6]Register
	for i, param := range []string{"dst", "p", "q", "s", "lo", "length"} {
		ptr[i] = Load(Param(param), GP64())
	}
	groups := Load(Param("groups"), GP64())
	nodes, weights, count := Load(Param("nodes"), GP64()), Load(Param("weights"), GP64()), Load(Param("count"), GP64())
	at := func(i, v int) Mem { return Mem{Base: ptr[i], Disp: 8 * lanes * v} }
	make2 := func() []VecVirtual {
		x := make([]VecVirtual, width)
		for v := range x {
			x[v] = register()
		}
		return x
	}

	Label("group")
	CMPQ(groups, Imm(0))
	JE(LabelRef("done"))
	acc := make2()
	for _, a := range acc {
		VXORPD(a, a, a)
	}
	k := GP64()
	XORQ(k, k)
	Label("node")
	x, e, r, f := make2(), make2(), make2(), make2()
	t := register()
	VBROADCASTSD(Mem{Base: nodes, Index: k, Scale: 8}, t)
	for v := range x {
		VMULPD(at(5, v), t, x[v])
	}
	exp(x...)
	one := register()
	load(number(1), one)
	for v := range x {
		d := register()
		VMULPD(at(4, v), x[v], x[v])
		VMULPD(x[v], x[v], f[v]) // x^2
		VMOVUPD(at(3, v), d)
		VFMADD213PD(one, f[v], d) // 1 + s x^2
		VMULPD(d, x[v], r[v])
		VDIVPD(r[v], one, r[v]) // 1/(x d)
		VMULPD(at(1, v), x[v], e[v])
		VMULPD(at(2, v), d, d)
		VFNMADD231PD(d, r[v], e[v]) // p x - q/x
		VMULPD(x[v], r[v], r[v])    // 1/d
		VXORPD(d, d, d)
		VFNMADD231PD(e[v], e[v], d)
		VMOVAPD(d, e[v])
		VSUBPD(f[v], one, f[v])
		VMULPD(x[v], f[v], f[v])
		VMULPD(r[v], r[v], r[v])
		VMULPD(r[v], f[v], f[v]) // (1 - x^2) x/d^2
	}
	exp(e...)
	VBROADCASTSD(Mem{Base: weights, Index: k, Scale: 8}, t)
	for v := range x {
		VMULPD(t, e[v], e[v])
		VFMADD231PD(f[v], e[v], acc[v])
	}
	INCQ(k)
	CMPQ(k, count)
	JLT(LabelRef("node"))
	for v := range acc {
		VMULPD(at(5, v), acc[v], acc[v])
		VMOVUPD(acc[v], at(0, v))
	}
	for i := range ptr {
		ADDQ(U32(8*lanes*width), ptr[i])
	}
	DECQ(groups)
	JMP(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}
