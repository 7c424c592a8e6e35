// Command series writes the steps of the Hermite series over a tile of a
// covariance: correlations (scale), which order meets the tolerance (test),
// Horner's rule (sum), and the scaled result with its mirror image (store).
//
// A vector is eight neighbours of a row, in one register with AVX-512 and in
// two with AVX2.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The layout of package kernel's structs and scratch, in bytes.
const (
	word     = 8
	vecBytes = 8 * word
	tileRow  = 64 * word // a row of a tile, also of the coefficients
	levels   = 5

	rowBytes = (2 + 2*levels) * word // seriesRow
	rowInv   = 0
	rowOut   = word
	rowLimit = 2 * word
	rowTail  = rowLimit + levels*word

	colBytes = (levels + 2) * vecBytes // seriesCols
	colTail  = 0
	colInv   = levels * vecBytes
	colOut   = colInv + vecBytes
)

// Predicates of comparisons.
const (
	notEqual   = 4  // or unordered
	notGreater = 10 // or unordered
)

// An isa is an instruction set; parts is the number of registers that a vector
// takes.
type isa struct {
	name  string
	parts int
	regs  []VecPhysical
}

var (
	avx512 = isa{"AVX512", 1, []VecPhysical{
		Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
	}}
	avx2 = isa{"AVX2", 2, []VecPhysical{
		Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15,
	}}
)

// A format is the type of the entries of the covariance.
type format struct {
	goType string
	size   int
}

var formats = []format{{"float64", 8}, {"float32", 4}}

func main() {
	ConstraintExpr("amd64,!noasm")
	constants()
	for _, s := range []isa{avx512, avx2} {
		for _, f := range formats {
			scale(s, f)
		}
		test(s)
		sum(s)
	}
	for _, f := range formats {
		store512(f)
		store256(f)
	}
	Generate()
}

var one, minusOne, abs, leastRho, smallest64, smallest32, mask64, mask32 Mem

func constants() {
	one = ConstData("seriesOne", U64(math.Float64bits(1)))
	minusOne = ConstData("seriesMinusOne", U64(math.Float64bits(-1)))
	abs = ConstData("seriesAbs", U64(1<<63-1))
	leastRho = ConstData("seriesLeastRho", U64(math.Float64bits(0x1p-14)))
	smallest64 = ConstData("seriesSmallest64", U64(math.Float64bits(0x1p-1022)))
	smallest32 = ConstData("seriesSmallest32", U64(math.Float64bits(0x1p-126)))
	mask64 = GLOBL("seriesMask64", RODATA|NOPTR)
	for i := range 16 {
		DATA(i*8, U64(ones(i < 8)))
	}
	mask32 = GLOBL("seriesMask32", RODATA|NOPTR)
	for i := range 16 {
		DATA(i*4, U32(ones(i < 8)))
	}
}

// width is the number of bytes of one register.
func (s isa) width() int { return vecBytes / s.parts }

// vec returns the registers of vector n, if all are vectors from register 0.
func (s isa) vec(n int) []VecPhysical { return s.regs[n*s.parts:][:s.parts] }

func (s isa) zero(r VecPhysical) {
	if s.parts == 1 {
		VPXORQ(r, r, r)
	} else {
		VXORPD(r, r, r)
	}
}

func bits(f format) int { return 8 * f.size }

// A param is a parameter of the function and the register that takes it.
type param struct {
	name string
	to   GPPhysical
}

func load(params ...param) {
	for _, p := range params {
		Load(Param(p.name), p.to)
	}
}

func doc(name, first string, rest ...string) {
	Doc(append([]string{name + " " + first}, rest...)...)
	Pragma("noescape")
}

// ones is all bits set, or none.
func ones(set bool) uint64 {
	if set {
		return math.MaxUint64
	}
	return 0
}
