package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// scale writes the function that turns covariances into correlations, row by
// row: c (1/In_i) (1/In_j), clipped to [-1, 1]. The largest |rho| before that
// is kept by its bits, whose order puts NaN last.
func scale(s isa, f format) {
	name := fmt.Sprintf("seriesScale%d%s", bits(f), s.name)
	TEXT(name, NOSPLIT, "func(rho *float64, c *"+f.goType+", stride int, rows, cols *float64, m, n, step int, top *uint64)")
	doc(name, "writes the correlations of m rows of c to rho: n entries of",
		"the first row, step more in every next. stride is the bytes between rows",
		"of c. The bits of the largest magnitude are merged into top.")
	rho, c, stride, rows, cols, m, n, step, left := RDI, RSI, R8, R9, R10, R11, R12, R13, RCX
	rhoAt, cAt, colAt, t := RAX, RBX, RDX, R15
	load(param{"rho", rho}, param{"c", c}, param{"stride", stride}, param{"rows", rows},
		param{"cols", cols}, param{"m", m}, param{"n", n}, param{"step", step}, param{"top", t})
	k := scaler{isa: s, format: f}
	k.constants(t)
	TESTQ(m, m)
	JZ(LabelRef("done"))
	Label("row")
	k.row(Mem{Base: rows, Disp: rowInv})
	MOVQ(rho, rhoAt)
	MOVQ(c, cAt)
	MOVQ(cols, colAt)
	MOVQ(n, left)
	JMP(LabelRef("count"))
	Label("vector")
	k.body(Mem{Base: rhoAt}, Mem{Base: cAt}, Mem{Base: colAt, Disp: colInv}, false)
	ADDQ(U8(vecBytes), rhoAt)
	ADDQ(U8(8*f.size), cAt)
	ADDQ(U32(colBytes), colAt)
	SUBQ(U8(8), left)
	Label("count")
	CMPQ(left, U8(8))
	JGE(LabelRef("vector"))
	TESTQ(left, left)
	JZ(LabelRef("next"))
	k.mask(left, t)
	k.body(Mem{Base: rhoAt}, Mem{Base: cAt}, Mem{Base: colAt, Disp: colInv}, true)
	Label("next")
	ADDQ(U32(tileRow), rho)
	ADDQ(stride, c)
	ADDQ(U8(rowBytes), rows)
	ADDQ(step, n)
	DECQ(m)
	JNZ(LabelRef("row"))
	Label("done")
	Load(Param("top"), t)
	for p := range s.parts {
		k.move(k.top(p), Mem{Base: t, Disp: p * s.width()})
	}
	VZEROUPPER()
	RET()
}

// A scaler writes the pieces of scale.
type scaler struct {
	isa
	format
}

// Registers: those of the top, then the others.
func (k scaler) top(part int) VecPhysical { return k.regs[part] }
func (k scaler) reg(n int) VecPhysical    { return k.regs[k.parts+n] }

const (
	regOne = iota
	regMinusOne
	regAbs
	regZero
	regRow     // 1/In_i
	regRowMask // where that is not 0 (AVX2)
	regX
	regInv // 1/In_j
	regT
	regMask // of the lanes there are (AVX2), a register for each part
)

func (k scaler) move(from, to Op) {
	if k.parts == 1 {
		VMOVDQU64(from, to)
	} else {
		VMOVDQU(from, to)
	}
}

func (k scaler) constants(top GPPhysical) {
	for p := range k.parts {
		k.move(Mem{Base: top, Disp: p * k.width()}, k.top(p))
	}
	VBROADCASTSD(one, k.reg(regOne))
	VBROADCASTSD(minusOne, k.reg(regMinusOne))
	VBROADCASTSD(abs, k.reg(regAbs))
	k.zero(k.reg(regZero))
}

func (k scaler) row(inv Mem) {
	VBROADCASTSD(inv, k.reg(regRow))
	if k.parts == 1 {
		VCMPPD(Imm(notEqual), k.reg(regZero), k.reg(regRow), K1)
	} else {
		VCMPPD(Imm(notEqual), k.reg(regZero), k.reg(regRow), k.reg(regRowMask))
	}
}

// mask prepares the mask of the first n lanes, 0 < n < 8; n is in RCX.
func (k scaler) mask(n, t GPPhysical) {
	if k.parts == 1 {
		MOVQ(U32(1), t)
		SHLQ(CL, t)
		DECQ(t)
		KMOVB(t.As32(), K2)
		return
	}
	table := mask64
	if k.size == 4 {
		table = mask32
	}
	LEAQ(table.Offset(8*k.size), t)
	NEGQ(n)
	for p := range k.parts {
		at := Mem{Base: t, Index: n, Scale: uint8(k.size), Disp: 4 * p * k.size}
		if k.size == 8 {
			VMOVDQU(at, k.reg(regMask+p))
		} else {
			VMOVDQU(at, k.reg(regMask+p).AsX())
		}
	}
}

// load reads a part of c as float64, 0 for the lanes that the mask leaves out.
func (k scaler) load(part int, c Mem, masked bool) {
	c = c.Offset(4 * part * k.size)
	x := k.reg(regX)
	switch {
	case k.parts == 1 && k.size == 8 && masked:
		VMOVUPD_Z(c, K2, x)
	case k.parts == 1 && k.size == 4 && masked:
		VCVTPS2PD_Z(c, K2, x)
	case k.size == 8 && masked:
		VMASKMOVPD(c, k.reg(regMask+part), x)
	case masked:
		VMASKMOVPS(c, k.reg(regMask+part).AsX(), x.AsX())
		VCVTPS2PD(x.AsX(), x)
	case k.size == 8:
		VMOVUPD(c, x)
	default:
		VCVTPS2PD(c, x)
	}
}

// body computes a vector. Where 1/In is 0 the correlation is 0, even of NaN.
// The minimum and maximum return their second operand, x, if that is NaN.
func (k scaler) body(rho, c, inv Mem, masked bool) {
	x, iv, t := k.reg(regX), k.reg(regInv), k.reg(regT)
	for p := range k.parts {
		k.load(p, c, masked)
		VMULPD(k.reg(regRow), x, x)
		VMOVUPD(inv.Offset(p*k.width()), iv)
		if k.parts == 1 {
			VCMPPD(Imm(notEqual), k.reg(regZero), iv, K1, K3)
			VMULPD_Z(iv, x, K3, x)
			VPANDQ(k.reg(regAbs), x, t)
			VPMAXUQ(t, k.top(p), k.top(p))
		} else {
			VMULPD(iv, x, x)
			VCMPPD(Imm(notEqual), k.reg(regZero), iv, t)
			VANDPD(k.reg(regRowMask), t, t)
			VANDPD(t, x, x)
			VANDPD(k.reg(regAbs), x, t)
			VPCMPGTQ(k.top(p), t, iv)
			VBLENDVPD(iv, t, k.top(p), k.top(p))
		}
		VMINPD(x, k.reg(regOne), x)
		VMAXPD(x, k.reg(regMinusOne), x)
		VMOVUPD(x, rho.Offset(p*k.width()))
	}
}
