package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// sum writes Horner's rule over groups of vectors, six with AVX-512 and three
// with AVX2: six independent chains hide the latency of acc = acc rho + t, and
// their addresses fit the general registers.
func sum(s isa) {
	group := 6 / s.parts
	name := "seriesSum" + s.name
	TEXT(name, NOSPLIT, "func(vectors *uint16, groups, order int, rho, hi, hj *float64)")
	doc(name, "replaces the correlations of the vectors, in groups of six or",
		"three, by the sums of their series.")
	list, at := RSI, RDI
	rows := []GPPhysical{RAX, RBX, RCX, RDX, R8, R9}[:group]
	cols := []GPPhysical{R10, R11, R12, R13, R14, R15}[:group]
	address := func(name string) Mem {
		b, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		return b.Addr
	}
	rho := func(v int) []VecPhysical { return s.vec(v) }
	acc := func(v int) []VecPhysical { return s.vec(group + v) }
	t, h := s.regs[12], s.regs[13]
	// rhoOf leaves the address of vector v of the group in at.
	rhoOf := func(v int) {
		MOVWQZX(Mem{Base: list, Disp: 2 * v}, at)
		SHLQ(U8(6), at)
		ADDQ(address("rho"), at)
	}
	// term computes H_ki H_kj for a part of vector v.
	term := func(v, p int, to VecPhysical) {
		row := Mem{Base: rows[v], Index: at, Scale: 1}
		col := Mem{Base: cols[v], Index: at, Scale: 1, Disp: p * s.width()}
		if s.parts == 1 {
			VMOVUPD(col, to)
			VMULPD_BCST(row, to, to)
			return
		}
		if p == 0 {
			VBROADCASTSD(row, h)
		}
		VMULPD(col, h, to)
	}
	Load(Param("vectors"), list)
	CMPQ(address("groups"), U8(0))
	JE(LabelRef("done"))
	Label("group")
	for v := range group {
		MOVWQZX(Mem{Base: list, Disp: 2 * v}, rows[v])
		MOVQ(rows[v], cols[v])
		ANDQ(U8(7), cols[v])
		SUBQ(cols[v], rows[v]) // 8 times the row
		SHLQ(U8(6), cols[v])
		ADDQ(address("hi"), rows[v])
		ADDQ(address("hj"), cols[v])
		rhoOf(v)
		for p := range s.parts {
			VMOVUPD(Mem{Base: at, Disp: p * s.width()}, rho(v)[p])
		}
	}
	Load(Param("order"), at)
	SHLQ(U8(9), at)
	SUBQ(U32(tileRow), at)
	for v := range group {
		for p := range s.parts {
			term(v, p, acc(v)[p])
		}
	}
	JMP(LabelRef("next"))
	Label("term")
	for v := range group {
		for p := range s.parts {
			term(v, p, t)
			VFMADD213PD(t, rho(v)[p], acc(v)[p])
		}
	}
	Label("next")
	SUBQ(U32(tileRow), at)
	JGE(LabelRef("term"))
	for v := range group {
		rhoOf(v)
		for p := range s.parts {
			VMULPD(rho(v)[p], acc(v)[p], acc(v)[p])
			VMOVUPD(acc(v)[p], Mem{Base: at, Disp: p * s.width()})
		}
	}
	ADDQ(U8(2*group), list)
	DECQ(address("groups"))
	JNZ(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}
