package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The general registers of store.
var (
	dst, up, stride, sums, rows, cols, masks = RDI, RSI, R8, RDX, R9, R10, R11
	stride3, dst4, up4                       = R12, R13, R14
)

// storeHead begins store: its parameters are in registers then.
func storeHead(name string, f format, extra string) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(dst, up *%s, stride int, sums, rows, cols *float64%s)", f.goType, extra))
	load(param{"dst", dst}, param{"up", up}, param{"stride", stride},
		param{"sums", sums}, param{"rows", rows}, param{"cols", cols})
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	LEAQ(Mem{Base: dst, Index: stride, Scale: 4}, dst4)
	LEAQ(Mem{Base: up, Index: stride, Scale: 4}, up4)
}

// line returns the address of row r of the block that starts at base, whose
// row 4 starts at base4.
func line(base, base4 GPPhysical, r int) Mem {
	m := []Mem{{}, {Index: stride, Scale: 1}, {Index: stride, Scale: 2}, {Index: stride3, Scale: 1}}[r%4]
	m.Base = []GPPhysical{base, base4}[r/4]
	return m
}

// store512 writes the function that multiplies a block of sums by the standard
// deviations, stores it, and stores its transpose. What is below the smallest
// normal number is stored as 0.
func store512(f format) {
	name := fmt.Sprintf("seriesStore%dAVX512", bits(f))
	storeHead(name, f, ", masks *uint8")
	doc(name, "stores sums of 8 x 8 entries times the standard deviations to",
		"dst, and transposed to up unless that is nil. stride is the bytes between",
		"rows of both. masks has the lanes to store of the 8 rows of dst and of the",
		"8 rows of up.")
	Load(Param("masks"), masks)
	z := avx512.regs
	VMOVUPD(Mem{Base: cols, Disp: colOut}, z[8])
	for r := range 8 {
		VMOVUPD(Mem{Base: sums, Disp: r * tileRow}, z[r])
		VMULPD_BCST(Mem{Base: rows, Disp: r*rowBytes + rowOut}, z[r], z[r])
		VMULPD(z[8], z[r], z[r])
		VPANDQ_BCST(abs, z[r], z[9])
		VCMPPD_BCST(Imm(notLess), smallest(f), z[9], K2)
		VMOVAPD_Z(z[r], K2, z[r])
		storeMasked(f, z[r], z[9], line(dst, dst4, r), r)
	}
	TESTQ(up, up)
	JZ(LabelRef("done"))
	// Pairs of rows, then of pairs, then of fours.
	for r := 0; r < 8; r += 2 {
		VUNPCKLPD(z[r+1], z[r], z[8+r])
		VUNPCKHPD(z[r+1], z[r], z[9+r])
	}
	const even, odd = 0x88, 0xdd
	for odds := range 2 {
		t := func(n int) VecPhysical { return z[8+2*n+odds] } // rows 2n, 2n+1 at columns odds, odds+2, ...
		VSHUFF64X2(Imm(even), t(1), t(0), z[0])
		VSHUFF64X2(Imm(odd), t(1), t(0), z[1])
		VSHUFF64X2(Imm(even), t(3), t(2), z[2])
		VSHUFF64X2(Imm(odd), t(3), t(2), z[3])
		VSHUFF64X2(Imm(even), z[2], z[0], z[16+odds])
		VSHUFF64X2(Imm(even), z[3], z[1], z[18+odds])
		VSHUFF64X2(Imm(odd), z[2], z[0], z[20+odds])
		VSHUFF64X2(Imm(odd), z[3], z[1], z[22+odds])
	}
	for c := range 8 {
		storeMasked(f, z[16+c], z[9], line(up, up4, c), 8+c)
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// notLess is the comparison "not less than", which NaN passes.
const notLess = 0x15

// smallest is the smallest normal number of the format.
func smallest(f format) Mem { return map[int]Mem{8: smallest64, 4: smallest32}[f.size] }

// storeMasked stores the lanes of z that mask n names.
func storeMasked(f format, z, t VecPhysical, to Mem, n int) {
	KMOVB(Mem{Base: masks, Disp: n}, K1)
	if f.size == 8 {
		VMOVUPD(z, K1, to)
		return
	}
	VCVTPD2PS(z, t.AsY())
	VMOVUPS(t.AsY(), K1, to)
}

// store256 is store512 without masks, in four quarters.
func store256(f format) {
	name := fmt.Sprintf("seriesStore%dAVX2", bits(f))
	storeHead(name, f, "")
	doc(name, "stores sums of 8 x 8 entries times the standard deviations to",
		"dst, and transposed to up unless that is nil. stride is the bytes between",
		"rows of both.")
	y := avx2.regs
	put := func(r VecPhysical, to Mem) {
		if f.size == 8 {
			VMOVUPD(r, to)
			return
		}
		VCVTPD2PSY(r, r.AsX())
		VMOVUPS(r.AsX(), to)
	}
	VBROADCASTSD(abs, y[12])
	VBROADCASTSD(smallest(f), y[13])
	for quarter := range 4 {
		qr, qc := quarter/2*4, quarter%2*4
		VMOVUPD(Mem{Base: cols, Disp: colOut + qc*word}, y[4])
		for r := range 4 {
			VBROADCASTSD(Mem{Base: rows, Disp: (qr+r)*rowBytes + rowOut}, y[5])
			VMULPD(Mem{Base: sums, Disp: (qr+r)*tileRow + qc*word}, y[5], y[r])
			VMULPD(y[4], y[r], y[r])
			VANDPD(y[12], y[r], y[5])
			VCMPPD(Imm(notLess), y[13], y[5], y[5])
			VANDPD(y[5], y[r], y[r])
			VMOVAPD(y[r], y[5])
			put(y[5], line(dst, dst4, qr+r).Offset(qc*f.size))
		}
		TESTQ(up, up)
		next := fmt.Sprintf("quarter%d", quarter+1)
		JZ(LabelRef(next))
		for r := 0; r < 4; r += 2 {
			VUNPCKLPD(y[r+1], y[r], y[6+r])
			VUNPCKHPD(y[r+1], y[r], y[7+r])
		}
		for c := range 4 {
			half := map[bool]int{false: 0x20, true: 0x31}[c >= 2]
			VPERM2F128(Imm(uint64(half)), y[8+c%2], y[6+c%2], y[10])
			put(y[10], line(up, up4, qc+c).Offset(qr*f.size))
		}
		Label(next)
	}
	VZEROUPPER()
	RET()
}
