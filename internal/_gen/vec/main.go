// Command vec writes the assembly of package vec.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/covprop/covprop/internal/_gen/emit"
)

const unrolled = 4

func main() {
	ConstraintExpr("amd64,!noasm")
	map512("exp512", unrolled, emit.Exp512)
	map512("erf512", unrolled, emit.Erf512)
	map512("erfc512", unrolled, emit.Erfc512)
	map512("cdf512", unrolled, emit.CDF512)
	map512("density512", unrolled, emit.Density512)
	map256("exp256", emit.Exp256)
	map256("erf256", emit.Erf256)
	map256("erfc256", emit.Erfc256)
	map256("cdf256", emit.CDF256)
	map256("density256", emit.Density256)
	Generate()
}

// map512 writes a function that applies body to every element, unroll times
// eight at a time; the last few go by eights under a mask.
func map512(name string, unroll int, body func(x ...VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst, x []float64)")
	Pragma("noescape")
	dst, src, n := Load(Param("dst").Base(), GP64()), Load(Param("x").Base(), GP64()), Load(Param("x").Len(), GP64())

	Label("loop")
	CMPQ(n, U32(8*unroll))
	JLT(LabelRef("tail"))
	x := make([]VecVirtual, unroll)
	for i := range x {
		x[i] = ZMM()
		VMOVUPD(Mem{Base: src, Disp: 64 * i}, x[i])
	}
	body(x...)
	for i := range x {
		VMOVUPD(x[i], Mem{Base: dst, Disp: 64 * i})
	}
	ADDQ(U32(64*unroll), src)
	ADDQ(U32(64*unroll), dst)
	SUBQ(U32(8*unroll), n)
	JMP(LabelRef("loop"))

	Label("tail")
	CMPQ(n, Imm(0))
	JLE(LabelRef("done"))
	ones, mask, last := GP64(), K(), ZMM()
	MOVQ(I64(-1), ones)
	BZHIQ(n, ones, ones) // all ones from n = 64 on
	KMOVW(ones.As32(), mask)
	VMOVUPD_Z(Mem{Base: src}, mask, last)
	body(last)
	VMOVUPD(last, mask, Mem{Base: dst})
	ADDQ(Imm(64), src)
	ADDQ(Imm(64), dst)
	SUBQ(Imm(8), n)
	JMP(LabelRef("tail"))

	Label("done")
	VZEROUPPER()
	RET()
}

// map256 is map512 with four elements at a time.
func map256(name string, body func(x VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst, x []float64)")
	Pragma("noescape")
	dst, src, n := Load(Param("dst").Base(), GP64()), Load(Param("x").Base(), GP64()), Load(Param("x").Len(), GP64())

	Label("loop")
	CMPQ(n, Imm(4))
	JLT(LabelRef("tail"))
	x := YMM()
	VMOVUPD(Mem{Base: src}, x)
	body(x)
	VMOVUPD(x, Mem{Base: dst})
	ADDQ(Imm(32), src)
	ADDQ(Imm(32), dst)
	SUBQ(Imm(4), n)
	JMP(LabelRef("loop"))

	Label("tail")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	ones, mask := GP64(), YMM()
	const all = 1<<64 - 1
	LEAQ(emit.Data("mask256", all, all, all, all, 0, 0, 0, 0), ones)
	NEGQ(n)
	VMOVDQU(Mem{Base: ones, Index: n, Scale: 8, Disp: 32}, mask) // n ones
	x = YMM()
	VMASKMOVPD(Mem{Base: src}, mask, x)
	body(x)
	VMASKMOVPD(x, mask, Mem{Base: dst})

	Label("done")
	VZEROUPPER()
	RET()
}
