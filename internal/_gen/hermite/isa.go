package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// An isa is what differs between the instruction sets. Vectors of a group are
// numbered; each has its place behind a pointer, and with AVX-512 its mask.
type isa interface {
	name() string
	bytes() int    // of a vector
	groups() []int // how many vectors to take together, while there are as many
	// begin starts a group of the n units left, or goes to none if a smaller one
	// does.
	begin(n Register, vectors int, none string)
	end()
	registers(n int) []VecVirtual
	constant(x float64) VecVirtual
	magnitude() VecVirtual // all bits but the sign
	zero(x VecVirtual)
	load(i int, p Register, x VecVirtual) // vector i behind p
	store(i int, x VecVirtual, p Register)
	// times multiplies by a number in memory.
	times(m Mem, x, y VecVirtual)
	root(x, y VecVirtual) // y = sqrt(x), x >= 0
	// significant sets y = x, or 0 where |x| is below smallest.
	significant(x, y, abs, smallest VecVirtual)
	// remainder replaces a sum by max(0, 1-sum) + noise, or 0 where the noise
	// is 0.
	remainder(i int, noise Register, sum VecVirtual)
}

// avx512 takes up to four vectors at a time; the masks K1 to K4 leave out what
// is beyond the last unit.
type avx512 struct{}

func (avx512) name() string  { return "AVX512" }
func (avx512) bytes() int    { return 64 }
func (avx512) groups() []int { return []int{4, 2, 1} }

func (avx512) begin(n Register, vectors int, none string) {
	CMPQ(n, Imm(uint64(vectors/2*8)))
	JLE(LabelRef(none))
	count, mask := GP64(), GP64()
	MOVQ(U32(8*vectors), count)
	CMPQ(n, count)
	CMOVQLT(n, count)
	MOVQ(I32(-1), mask)
	SHLXQ(count, mask, mask)
	NOTQ(mask)
	for i := range vectors {
		KMOVB(mask.As32(), masks[i])
		SHRQ(Imm(8), mask)
	}
}

var masks = []Register{K1, K2, K3, K4}

func (avx512) end() { VZEROUPPER() }

func (avx512) registers(n int) []VecVirtual { return repeat(n, ZMM) }

func (avx512) constant(x float64) VecVirtual {
	r := ZMM()
	VBROADCASTSD(constant(x), r)
	return r
}

func (avx512) magnitude() VecVirtual {
	r := ZMM()
	VBROADCASTSD(magnitude, r)
	return r
}

func (avx512) zero(x VecVirtual) { VPXORQ(x, x, x) }

func (avx512) load(i int, p Register, x VecVirtual) {
	VMOVUPD_Z(Mem{Base: p, Disp: 64 * i}, masks[i], x)
}

func (avx512) store(i int, x VecVirtual, p Register) {
	VMOVUPD(x, masks[i], Mem{Base: p, Disp: 64 * i})
}

func (avx512) significant(x, y, abs, smallest VecVirtual) {
	t := ZMM()
	VPANDQ(abs, x, t)
	VCMPPD(Imm(notLess), smallest, t, K5)
	VMOVAPD_Z(x, K5, y)
}

func (avx512) times(m Mem, x, y VecVirtual) { VMULPD_BCST(m, x, y) }

// root takes 1/sqrt(x) to 14 bits, one step of Newton's method for it, to 27,
// and one for the root, which divides by nothing: within a unit in the last
// place, in a third of the time of VSQRTPD.
func (v avx512) root(x, y VecVirtual) {
	zero, r, half, t := ZMM(), ZMM(), v.constant(.5), ZMM()
	v.zero(zero)
	VCMPPD(Imm(notLessEqual), zero, x, K5)
	VRSQRT14PD(x, r)
	VMULPD(x, r, y)       // sqrt(x)
	VMULPD(half, r, r)    // 1/(2 sqrt(x))
	VMOVAPD(half, t)      //
	VFNMADD231PD(y, r, t) // the relative error of both, (1 - x r^2)/2
	VFMADD231PD(t, y, y)  //
	VFMADD231PD(t, r, r)  //
	VMOVAPD(x, t)         //
	VFNMADD231PD(y, y, t) // x - y^2
	VFMADD231PD_Z(t, r, K5, y)
}

func (v avx512) remainder(i int, noise Register, sum VecVirtual) {
	zero, x, one := ZMM(), ZMM(), v.constant(1)
	v.zero(zero)
	v.load(i, noise, x)
	VCMPPD(Imm(greater), zero, x, K5)
	VSUBPD(sum, one, sum)
	VMAXPD(sum, zero, sum) // NaN stays
	VADDPD_Z(x, sum, K5, sum)
}

// avx2 takes two vectors at a time, then one; the caller does the rest.
type avx2 struct{}

func (avx2) name() string  { return "AVX2" }
func (avx2) bytes() int    { return 32 }
func (avx2) groups() []int { return []int{2, 1} }

func (avx2) begin(n Register, vectors int, none string) {
	CMPQ(n, Imm(uint64(4*vectors)))
	JLT(LabelRef(none))
}

func (avx2) end() { VZEROUPPER() }

func (avx2) registers(n int) []VecVirtual { return repeat(n, YMM) }

func (avx2) constant(x float64) VecVirtual {
	r := YMM()
	VBROADCASTSD(constant(x), r)
	return r
}

func (avx2) magnitude() VecVirtual {
	r := YMM()
	VBROADCASTSD(magnitude, r)
	return r
}

func (avx2) zero(x VecVirtual) { VXORPD(x, x, x) }

func (avx2) load(i int, p Register, x VecVirtual) { VMOVUPD(Mem{Base: p, Disp: 32 * i}, x) }

func (avx2) store(i int, x VecVirtual, p Register) { VMOVUPD(x, Mem{Base: p, Disp: 32 * i}) }

func (avx2) significant(x, y, abs, smallest VecVirtual) {
	t := YMM()
	VANDPD(abs, x, t)
	VCMPPD(Imm(notLess), smallest, t, t)
	VANDPD(t, x, y)
}

func (avx2) times(m Mem, x, y VecVirtual) {
	c := YMM()
	VBROADCASTSD(m, c)
	VMULPD(x, c, y)
}

func (avx2) root(x, y VecVirtual) { VSQRTPD(x, y) }

func (v avx2) remainder(i int, noise Register, sum VecVirtual) {
	zero, x, one := YMM(), YMM(), v.constant(1)
	v.zero(zero)
	v.load(i, noise, x)
	VSUBPD(sum, one, sum)
	VMAXPD(sum, zero, sum) // NaN stays
	VADDPD(x, sum, sum)
	VCMPPD(Imm(greater), zero, x, x)
	VANDPD(x, sum, sum)
}

// The comparisons of VCMPPD, quiet: of NaN greater is false, notLessEqual true.
const (
	greater      = 0x1e
	notLessEqual = 0x16
	notLess      = 0x15
)

func repeat(n int, f func() VecVirtual) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = f()
	}
	return r
}

var magnitude = ConstData("hermiteMagnitude", U64(1<<63-1))

var constants = map[float64]Mem{}

// constant returns the place of x in memory.
func constant(x float64) Mem {
	if _, ok := constants[x]; !ok {
		constants[x] = ConstData(fmt.Sprintf("hermiteConstant%d", len(constants)), U64(math.Float64bits(x)))
	}
	return constants[x]
}
