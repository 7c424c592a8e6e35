// Command vec writes the assembly of package vec.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/covprop/covprop/internal/_gen/emit"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	width512.function("exp512", 4, emit.Exp512)
	width512.function("erf512", 4, emit.Erf512)
	width512.function("erfc512", 4, emit.Erfc512)
	width512.function("cdf512", 4, emit.CDF512)
	width512.function("density512", 4, emit.Density512)
	width256.function("exp256", 2, emit.Exp256)
	width256.function("erf256", 1, emit.Erf256)
	width256.function("erfc256", 2, emit.Erfc256)
	width256.function("cdf256", 2, emit.CDF256)
	width256.function("density256", 2, emit.Density256)
	width512.functionOf("clamp512", 4, []string{"shift", "lo", "hi"}, clamp)
	width256.functionOf("clamp256", 4, []string{"shift", "lo", "hi"}, clamp)
	Generate()
}

// clamp is min(max(x+shift, lo), hi). Of two operands, one of which is NaN, the
// instructions return the second, which is the first one here.
func clamp(c []VecVirtual) func(x ...VecVirtual) {
	shift, lo, hi := c[0], c[1], c[2]
	return func(x ...VecVirtual) {
		for _, x := range x {
			VADDPD(shift, x, x)
			VMAXPD(x, lo, x)
			VMINPD(x, hi, x)
		}
	}
}

// A width is the kind of register that a function works with.
type width struct {
	lanes    int
	register func() VecVirtual
	partial  func(n Register, src, dst Mem, body func(x ...VecVirtual))
}

var (
	width512 = width{8, ZMM, partial512}
	width256 = width{4, YMM, partial256}
)

// function writes a function that applies body to every element: to unroll
// registers at a time, then to one at a time, the last of which may be partly
// filled.
func (w width) function(name string, unroll int, body func(x ...VecVirtual)) {
	w.functionOf(name, unroll, nil, func([]VecVirtual) func(x ...VecVirtual) { return body })
}

// functionOf is function for a body that depends on parameters, each of which it
// gets in all lanes of a register.
func (w width) functionOf(name string, unroll int, params []string, bodyOf func(c []VecVirtual) func(x ...VecVirtual)) {
	signature := "func(dst, x []float64"
	for _, p := range params {
		signature += ", " + p + " float64"
	}
	TEXT(name, NOSPLIT, signature+")")
	Pragma("noescape")
	var c []VecVirtual
	for _, p := range params {
		// Not by way of Load: its MOVSD, which is no VEX instruction, waits for
		// hundreds of cycles where upper halves of registers are in use.
		at, err := Param(p).Resolve()
		if err != nil {
			panic(err)
		}
		r := w.register()
		VBROADCASTSD(at.Addr, r)
		c = append(c, r)
	}
	body := bodyOf(c)
	dst := Mem{Base: Load(Param("dst").Base(), GP64())}
	src := Mem{Base: Load(Param("x").Base(), GP64())}
	n := Load(Param("x").Len(), GP64())
	advance := func(registers int) {
		ADDQ(U32(8*w.lanes*registers), src.Base)
		ADDQ(U32(8*w.lanes*registers), dst.Base)
		SUBQ(U32(w.lanes*registers), n)
	}

	Label("loop")
	CMPQ(n, U32(w.lanes*unroll))
	JLT(LabelRef("tail"))
	x := make([]VecVirtual, unroll)
	for i := range x {
		x[i] = w.register()
		VMOVUPD(src.Offset(8*w.lanes*i), x[i])
	}
	body(x...)
	for i := range x {
		VMOVUPD(x[i], dst.Offset(8*w.lanes*i))
	}
	advance(unroll)
	JMP(LabelRef("loop"))

	Label("tail")
	CMPQ(n, Imm(0))
	JLE(LabelRef("done"))
	w.partial(n, src, dst, body)
	advance(1)
	JMP(LabelRef("tail"))

	Label("done")
	VZEROUPPER()
	RET()
}

// partial512 applies body to the next min(n, 8) elements.
func partial512(n Register, src, dst Mem, body func(x ...VecVirtual)) {
	ones, mask, x := GP64(), K(), ZMM()
	MOVQ(I64(-1), ones)
	BZHIQ(n, ones, ones) // the lowest n bits; all of them from n = 64 on
	KMOVW(ones.As32(), mask)
	VMOVUPD_Z(src, mask, x)
	body(x)
	VMOVUPD(x, mask, dst)
}

// partial256 applies body to the next min(n, 4) elements.
func partial256(n Register, src, dst Mem, body func(x ...VecVirtual)) {
	const all = 1<<64 - 1
	table, k, mask, x := GP64(), GP64(), YMM(), YMM()
	MOVQ(U32(4), k)
	CMPQ(n, k)
	CMOVQLT(n, k)
	NEGQ(k)
	LEAQ(emit.Data("mask256", all, all, all, all, 0, 0, 0, 0), table)
	VMOVDQU(Mem{Base: table, Index: k, Scale: 8, Disp: 32}, mask) // min(n, 4) times all
	VMASKMOVPD(src, mask, x)
	body(x)
	VMASKMOVPD(x, mask, dst)
}
