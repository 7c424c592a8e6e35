package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose64 writes 4 x 4 blocks: halves of two rows side by side by the load
// ports, then pairs interleaved.
func transpose64() {
	transposeFunc("transpose64AVX2", "float64", "4 x 4", func(row func(int) Mem, out func(int) Mem) {
		at := func(r, disp int) Mem { m := row(r); m.Disp += disp; return m }
		for h := range 2 {
			// y0 = a0 a1 | c0 c1, y1 = b0 b1 | d0 d1
			y, x := []VecPhysical{Y0, Y1}, []VecPhysical{X0, X1}
			for i := range 2 {
				VMOVUPD(at(i, 16*h), x[i])
				VINSERTF128(U8(1), at(i+2, 16*h), y[i], y[i])
			}
			VUNPCKLPD(y[1], y[0], Y2)
			VUNPCKHPD(y[1], y[0], Y3)
			VMOVUPD(Y2, out(2*h))
			VMOVUPD(Y3, out(2*h+1))
		}
	}, 4, 8)
}

// transpose32 writes 8 x 8 blocks in the same way, in two rounds.
func transpose32() {
	transposeFunc("transpose32AVX2", "float32", "8 x 8", func(row func(int) Mem, out func(int) Mem) {
		at := func(r, disp int) Mem { m := row(r); m.Disp += disp; return m }
		for h := range 2 {
			// y[i] = four entries of row i | four of row i+4
			y, x := []VecPhysical{Y0, Y1, Y2, Y3}, []VecPhysical{X0, X1, X2, X3}
			for i := range 4 {
				VMOVUPS(at(i, 16*h), x[i])
				VINSERTF128(U8(1), at(i+4, 16*h), y[i], y[i])
			}
			VUNPCKLPS(Y1, Y0, Y4) // a0 b0 a1 b1
			VUNPCKHPS(Y1, Y0, Y5) // a2 b2 a3 b3
			VUNPCKLPS(Y3, Y2, Y6) // c0 d0 c1 d1
			VUNPCKHPS(Y3, Y2, Y7)
			VUNPCKLPD(Y6, Y4, Y0) // a0 b0 c0 d0
			VUNPCKHPD(Y6, Y4, Y1)
			VUNPCKLPD(Y7, Y5, Y2)
			VUNPCKHPD(Y7, Y5, Y3)
			for i := range 4 {
				VMOVUPS(y[i], out(4*h+i))
			}
		}
	}, 8, 4)
}

// transposeFunc writes a function that transposes blocks of n x n, side by side
// in src, one below the other in dst.
func transposeFunc(name, goType, size string, block func(row, out func(int) Mem), n, bytes int) {
	TEXT(name, NOSPLIT, "func(dst, src *"+goType+", ds, ss, blocks int)")
	Doc(name+" transposes blocks of "+size+", side by side in src, to dst, where they",
		"lie one below the other. ds and ss are the bytes between rows.")
	Pragma("noescape")
	dst, src, ds, ss, blocks := RDI, RSI, R8, R9, RCX
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("ds"), ds)
	Load(Param("ss"), ss)
	Load(Param("blocks"), blocks)
	rows := func(base, base4, stride, stride3 GPPhysical) func(int) Mem {
		return func(r int) Mem {
			m := []Mem{{}, {Index: stride, Scale: 1}, {Index: stride, Scale: 2}, {Index: stride3, Scale: 1}}[r%4]
			m.Base = []GPPhysical{base, base4}[r/4]
			return m
		}
	}
	ds3, ss3, dst4, src4 := R10, R11, RAX, RBX
	LEAQ(Mem{Base: ds, Index: ds, Scale: 2}, ds3)
	LEAQ(Mem{Base: ss, Index: ss, Scale: 2}, ss3)
	TESTQ(blocks, blocks)
	JZ(LabelRef("done"))
	Label("loop")
	if n > 4 {
		LEAQ(Mem{Base: dst, Index: ds, Scale: 4}, dst4)
		LEAQ(Mem{Base: src, Index: ss, Scale: 4}, src4)
	}
	block(rows(src, src4, ss, ss3), rows(dst, dst4, ds, ds3))
	ADDQ(U8(n*bytes), src)
	LEAQ(Mem{Base: dst, Index: ds, Scale: uint8(n)}, dst)
	DECQ(blocks)
	JNZ(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
