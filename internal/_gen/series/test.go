package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// lowLevels are tested for every row, the others only for a row in which some
// lane needs them.
const lowLevels = 2

// test writes the function that compares |rho|^(K+1) Tail_Kj with
// Tol / Tail_Ki for every lane and level.
func test(s isa) {
	name := "seriesTest" + s.name
	TEXT(name, NOSPLIT, "func(fail *uint64, rho, rows, cols *float64, m, n, step int, bound *float64)")
	doc(name, "sets byte l of a vector's word of fail to the lanes whose bound",
		"at level l exceeds the tolerance, for m rows: n entries of the first row,",
		"step more in every next. bound is raised to the largest that does not.")
	k := tester{isa: s, fail: RDI, rho: RSI, rows: R9, cols: R10, n: R12, failAt: R14, rhoAt: R15, colAt: RDX, left: RCX, any: R8}
	m, step := R11, R13
	load(param{"fail", k.fail}, param{"rho", k.rho}, param{"rows", k.rows}, param{"cols", k.cols},
		param{"m", m}, param{"n", k.n}, param{"step", step}, param{"bound", RAX})
	VMOVUPD(Mem{Base: RAX}, k.bound())
	VBROADCASTSD(abs, k.abs())
	VBROADCASTSD(leastRho, k.least())
	TESTQ(m, m)
	JZ(LabelRef("done"))
	Label("row")
	k.pass("low", 0, lowLevels)
	SHRQ(U8(8*(lowLevels-1)), k.any)
	JZ(LabelRef("next"))
	k.pass("high", lowLevels, levels)
	Label("next")
	ADDQ(U8(64), k.fail)
	ADDQ(U32(tileRow), k.rho)
	ADDQ(U8(rowBytes), k.rows)
	ADDQ(step, k.n)
	DECQ(m)
	JNZ(LabelRef("row"))
	Label("done")
	Load(Param("bound"), RAX)
	VMOVUPD(k.bound(), Mem{Base: RAX})
	VZEROUPPER()
	RET()
}

// A tester writes the pieces of test.
type tester struct {
	isa
	fail, rho, rows, cols, n        GPPhysical
	failAt, rhoAt, colAt, left, any GPPhysical
}

func (k tester) bound() VecPhysical      { return k.regs[0] }
func (k tester) abs() VecPhysical        { return k.regs[1] }
func (k tester) least() VecPhysical      { return k.regs[12] }
func (k tester) limit(n int) VecPhysical { return k.regs[2+n] }
func (k tester) best(n int) VecPhysical  { return k.regs[5+n] }

// pass tests the levels [first, last) on a row. any becomes the union of the
// words.
func (k tester) pass(label string, first, last int) {
	for l := first; l < last; l++ {
		VBROADCASTSD(Mem{Base: k.rows, Disp: rowLimit + l*word}, k.limit(l-first))
		k.zero(k.best(l - first))
	}
	MOVQ(k.fail, k.failAt)
	MOVQ(k.rho, k.rhoAt)
	MOVQ(k.cols, k.colAt)
	MOVQ(k.n, k.left)
	XORQ(k.any, k.any)
	JMP(LabelRef(label + "Count"))
	Label(label + "Vector")
	XORL(EAX, EAX)
	for p := range k.parts {
		k.part(p, first, last)
	}
	XORQ(U32(1<<(8*(last-first))-1), RAX)
	if first > 0 {
		SHLQ(U8(8*first), RAX)
		ORQ(Mem{Base: k.failAt}, RAX)
	}
	MOVQ(RAX, Mem{Base: k.failAt})
	ORQ(RAX, k.any)
	ADDQ(U8(word), k.failAt)
	ADDQ(U8(vecBytes), k.rhoAt)
	ADDQ(U32(colBytes), k.colAt)
	SUBQ(U8(8), k.left)
	Label(label + "Count")
	TESTQ(k.left, k.left)
	JG(LabelRef(label + "Vector"))
	t := k.regs[8]
	for l := first; l < last; l++ {
		VBROADCASTSD(Mem{Base: k.rows, Disp: rowTail + l*word}, t)
		VMULPD(t, k.best(l-first), t)
		VMAXPD(t, k.bound(), k.bound())
	}
}

// part tests the lanes of one register and sets the bits of those that pass in
// RAX. The maximum returns its second operand, the best so far, for NaN.
func (k tester) part(p, first, last int) {
	r, q, t, ok := k.regs[8], k.regs[9], k.regs[10], k.regs[11]
	if k.parts == 1 {
		VPANDQ(Mem{Base: k.rhoAt}, k.abs(), r)
		if first > 0 { // the powers of the low levels are normal numbers
			k.zero(t)
			VCMPPD(Imm(notEqual), t, r, K1)
			VMAXPD(r, k.least(), K1, r)
		}
	} else {
		VANDPD(Mem{Base: k.rhoAt, Disp: p * k.width()}, k.abs(), r)
		if first > 0 {
			k.zero(t)
			VCMPPD(Imm(notEqual), t, r, ok)
			VMAXPD(r, k.least(), r)
			VANDPD(ok, r, r)
		}
	}
	VMULPD(r, r, q)
	for l := range last {
		VMULPD(q, q, q) // |rho|^K
		if l < first {
			continue
		}
		best, limit := k.best(l-first), k.limit(l-first)
		VMULPD(Mem{Base: k.colAt, Disp: colTail + l*vecBytes + p*k.width()}, r, t)
		VMULPD(q, t, t)
		if k.parts == 1 {
			VCMPPD(Imm(notGreater), limit, t, K1)
			VMAXPD(best, t, K1, best)
			KMOVB(K1, EBX)
		} else {
			VCMPPD(Imm(notGreater), limit, t, ok)
			VANDPD(t, ok, t)
			VMAXPD(best, t, best)
			VMOVMSKPD(ok, EBX)
		}
		if shift := 8*(l-first) + 4*p; shift > 0 {
			SHLL(U8(shift), EBX)
		}
		ORL(EBX, EAX)
	}
}
