// Command bends writes kernel.bendGeneric for vectors of eight pairs.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/covprop/covprop/internal/_gen/emit"
)

// The layout of kernel.bentVector and kernel.bentIntegrals, in bytes.
const (
	vector  = 64
	atCov   = 0
	atDone  = vector
	atPlace = vector + 8
	bent    = vector + 16 // a bentVector
	atA     = 0
	atB     = 1 * vector
	atS     = 2 * vector
	atT     = 3 * vector
	atScale = 4 * vector
	atNear  = 5 * vector
)

// The fields of kernel.Bends.
const (
	alpha = iota
	linear
	jump
	density
	first
	j0
	j1
	j2
)

// Constants of package kernel.
const (
	pairLongest    = .2
	pairSteepest   = 36
	pairError      = 5e-15
	bendRounding   = 16 * 0x1p-52
	bendNegligible = 1e-14
	bendCut        = 40
	bendTouch      = 1e-13
	rootTwoByPi    = 0.79788456080286535588
)

// Predicates of comparisons, false for NaN.
const (
	less         = 17
	lessEqual    = 18
	greaterEqual = 29
	greater      = 30
)

const signBit = 1 << 63

func main() {
	ConstraintExpr("amd64,!noasm")
	bend()
	put()
	Generate()
}

// units are the fields of unit i of one Bends, or of the eight from it on.
type units struct {
	field [8]Mem
	lanes Op // of the eight that are loaded, the others being 0; nil for one unit
}

// unitsAt addresses the fields, stride numbers apart.
func unitsAt(param, strideParam string, lanes Op) units {
	base, stride := Load(Param(param), GP64()), Load(Param(strideParam), GP64())
	SHLQ(U8(3), stride)
	three, upper := GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	LEAQ(Mem{Base: base, Index: stride, Scale: 4}, upper)
	u := units{lanes: lanes}
	for half, b := range []Register{base, upper} {
		u.field[4*half] = Mem{Base: b}
		u.field[4*half+1] = Mem{Base: b, Index: stride, Scale: 1}
		u.field[4*half+2] = Mem{Base: b, Index: stride, Scale: 2}
		u.field[4*half+3] = Mem{Base: b, Index: three, Scale: 1}
	}
	return u
}

// get returns a field in a register.
func (u units) get(f int) VecVirtual {
	r := ZMM()
	if u.lanes != nil {
		VMOVUPD_Z(u.field[f], u.lanes, r)
	} else {
		VBROADCASTSD(u.field[f], r)
	}
	return r
}

func number(x float64) VecVirtual {
	r := ZMM()
	VBROADCASTSD(emit.F64x1(x), r)
	return r
}

func bits(x uint64) VecVirtual {
	r := ZMM()
	VPBROADCASTQ(emit.U64x1(x), r)
	return r
}

// binary returns op(a, b): a - b and a / b for the operations with an order.
func binary(op func(ops ...Op), a, b Op) VecVirtual {
	r := ZMM()
	op(b, a, r)
	return r
}

func add(a, b Op) VecVirtual { return binary(VADDPD, a, b) }
func sub(a, b Op) VecVirtual { return binary(VSUBPD, a, b) }
func mul(a, b Op) VecVirtual { return binary(VMULPD, a, b) }
func div(a, b Op) VecVirtual { return binary(VDIVPD, a, b) }

// blend returns b where k is set, and a elsewhere.
func blend(k, a, b Op) VecVirtual {
	r := ZMM()
	VBLENDMPD(b, a, k, r)
	return r
}

// compare returns the lanes of within in which a relation b.
func compare(relation uint8, a, b, within Op) OpmaskVirtual {
	k := K()
	VCMPPD(Imm(uint64(relation)), b, a, within, k)
	return k
}

func bend() {
	TEXT("bendAVX512", NOSPLIT, "func(v, in, bound, rho, row *float64, rowStride int, cols *float64, colStride int, todo uint64, tol float64)")
	Doc("bendAVX512 is bendGeneric for the bentVector at v, the bentIntegrals at in,", "the unit at row and the eight from cols on.")
	Pragma("noescape")
	out, in := Load(Param("v"), GP64()), Load(Param("in"), GP64())
	worst, at := Load(Param("bound"), GP64()), Load(Param("rho"), GP64())
	todo, lanes := K(), Load(Param("todo"), GP64())
	KMOVB(lanes.(GP).As32(), todo)
	f, g := unitsAt("row", "rowStride", nil), unitsAt("cols", "colStride", todo)

	sign := bits(signBit)
	abs := func(x Op) VecVirtual { return binary(VPANDNQ, sign, x) } // sign is inverted
	rho, one := ZMM(), number(1)
	VMOVUPD_Z(Mem{Base: at}, todo, rho)
	r := abs(rho)
	rest, more := sub(one, r), add(one, r) // 1 - r, 1 + r
	delta := div(rest, more)
	turned := binary(VPANDQ, rho, sign)
	a, b := f.get(alpha), binary(VPXORQ, g.get(alpha), turned)
	gap, sum := abs(sub(a, b)), abs(add(a, b))
	done := compare(greaterEqual, gap, bits(0), todo)
	done = compare(lessEqual, delta, number(pairLongest), done)

	// The covariance without I, and the sum of the sizes of its parts.
	fd, gd := f.get(density), g.get(density)
	rl := mul(rho, f.get(linear))
	x0, x1 := mul(rl, g.get(linear)), mul(rl, g.get(first))
	x2 := mul(mul(rho, f.get(first)), g.get(linear))
	x3 := mul(mul(fd, f.get(j1)), mul(gd, g.get(j1)))
	cov := sub(add(add(x0, x1), x2), x3)
	size := add(add(abs(x0), abs(x1)), add(abs(x2), abs(x3)))
	opposite, same, farther := K(), K(), compare(less, abs(a), abs(b), done)
	VPMOVQ2M(binary(VPXORQ, a, b), opposite)
	KANDNB(done, opposite, same)
	d := mul(blend(farther, fd, gd), blend(farther, g.get(jump), f.get(jump)))
	x4 := blend(farther, f.get(j2), g.get(j2))
	VFMADD231PD(blend(farther, f.get(j1), g.get(j1)), gap, x4)
	x4 = mul(d, x4)
	x5 := mul(mul(d, rest), blend(farther, f.get(j0), g.get(j0)))
	VADDPD(sub(x4, x5), cov, same, cov)
	VADDPD(add(abs(x4), abs(x5)), size, same, size)
	bound := number(bendNegligible)
	VFMADD231PD(number(bendRounding), size, bound)

	// What the integral takes, where it is not negligible.
	near := compare(greater, delta, number(bendTouch), done)
	near = compare(less, mul(gap, gap), mul(delta, number(8*bendCut)), near)
	near = compare(less, mul(gap, sum), number(4*bendCut), near)
	KORTESTB(near, near)
	JZ(LabelRef("finish"))
	steepest := number(pairSteepest)
	slope := mul(mul(mul(sum, sum), delta), number(1./8))
	steep := compare(greater, slope, steepest, done)
	t := blend(steep, one, mul(slope, number(1./pairSteepest)))
	s := div(delta, t)
	root := ZMM()
	VSQRTPD(s, root)
	scale := mul(mul(mul(number(rootTwoByPi), more), mul(fd, gd)), mul(s, root))
	VFMADD231PD(mul(abs(scale), t), number(pairError), near, bound)
	for _, o := range []struct {
		at int
		r  VecVirtual
	}{
		{atA, div(mul(gap, gap), mul(s, number(8)))},
		{atB, binary(VMINPD, slope, steepest)},
		{atS, s},
		{atT, t},
		{atScale, scale},
	} {
		VMOVUPD(o.r, Mem{Base: in, Disp: o.at})
	}

	Label("finish")
	tol := ZMM() // a scalar load would be a legacy instruction
	VBROADCASTSD(NewParamAddr("tol", 72), tol)
	done = compare(lessEqual, bound, tol, done)
	KANDB(done, near, near)
	VMOVUPD(cov, Mem{Base: out, Disp: atCov})
	VMAXPD(Mem{Base: worst}, bound, bound)
	VMOVUPD(bound, done, Mem{Base: worst})
	KMOVB(done, lanes.(GP).As32())
	MOVQ(lanes, Mem{Base: out, Disp: atDone})
	KMOVB(near, lanes.(GP).As32())
	MOVQ(lanes, Mem{Base: in, Disp: atNear})
	VZEROUPPER()
	RET()
}

// put writes kernel.putBentGeneric.
func put() {
	TEXT("putBentAVX512", NOSPLIT, "func(rho, vectors *float64, n int)")
	Doc("putBentAVX512 is putBentGeneric for n bentVectors.")
	Pragma("noescape")
	rho, at, n := Load(Param("rho"), GP64()), Load(Param("vectors"), GP64()), Load(Param("n"), GP64())
	place, cov, done := GP64(), ZMM(), K()
	Label("vector")
	MOVQ(Mem{Base: at, Disp: atPlace}, place)
	SHLQ(U8(6), place)
	KMOVB(Mem{Base: at, Disp: atDone}, done)
	VMOVUPD(Mem{Base: at, Disp: atCov}, cov)
	VMOVUPD(cov, done, Mem{Base: rho, Index: place, Scale: 1})
	ADDQ(U8(bent), at)
	DECQ(n)
	JNZ(LabelRef("vector"))
	VZEROUPPER()
	RET()
}
