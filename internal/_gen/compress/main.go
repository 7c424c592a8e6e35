// Command compress writes kernel.compressGeneric for AVX-512.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	TEXT("compressAVX512", NOSPLIT, "func(dst *float64, dstStride int, src *float64, srcStride int, rows *uint8, m int, masks *uint8, vectors int)")
	Doc("compressAVX512 copies columns of m rows of src, one behind the other: of vector v",
		"of a row those of byte v of masks. rows are the numbers of the rows, strides in",
		"bytes. A row of dst is written in whole vectors, up to 7 numbers beyond its end.")
	Pragma("noescape")
	dst, dstStride := Load(Param("dst"), GP64()), Load(Param("dstStride"), GP64())
	src, srcStride := Load(Param("src"), GP64()), Load(Param("srcStride"), GP64())
	rows, m := Load(Param("rows"), GP64()), Load(Param("m"), GP64())
	masks, vectors := Load(Param("masks"), GP64()), Load(Param("vectors"), GP64())
	from, to, v, bits, k, x := GP64(), GP64(), GP64(), GP64(), K(), ZMM()
	Label("row")
	MOVBQZX(Mem{Base: rows}, from)
	IMULQ(srcStride, from)
	ADDQ(src, from)
	MOVQ(dst, to)
	XORQ(v, v)
	Label("vector")
	MOVBQZX(Mem{Base: masks, Index: v, Scale: 1}, bits)
	KMOVB(bits.As32(), k)
	VMOVUPD_Z(Mem{Base: from}, k, x)
	VCOMPRESSPD_Z(x, k, x)
	VMOVUPD(x, Mem{Base: to})
	POPCNTQ(bits, bits)
	LEAQ(Mem{Base: to, Index: bits, Scale: 8}, to)
	ADDQ(Imm(64), from)
	INCQ(v)
	CMPQ(v, vectors)
	JL(LabelRef("vector"))
	INCQ(rows)
	ADDQ(dstStride, dst)
	DECQ(m)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
	Generate()
}
