// Command taps writes the inner loop of convolutions: the outputs of several
// channels at one position, for some of the lanes that lie side by side,
//
//	y[r,:] = sum_t sum_c w[t,c,r] x[at[t],c,:],
//
// in registers. It is an indirect convolution (Dukhan, The Indirect Convolution
// Algorithm, arXiv:1907.02129, 2019): the taps are found by their positions, so
// no patches are gathered. Each output is one chain of fused multiply-adds in
// the order of t and c, so it has the same bits in any tile and in both
// instruction sets.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// lanes is the number of entries of a row of x and y.
const lanes = 32

// An isa is an instruction set. Tiles of up to wide rows take four vectors,
// as two would leave too few sums to hide the latency; the others take two.
type isa struct {
	name       string
	bytes      int // of a vector
	rows, wide int
	vectors    []VecPhysical
}

var (
	avx512 = isa{"AVX512", 64, 14, 3, []VecPhysical{
		Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
	}}
	avx2 = isa{"AVX2", 32, 6, 2, []VecPhysical{
		Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15,
	}}
)

// The general registers.
var (
	yPtr, xPtr, wPtr, at = RDI, RSI, RDX, RCX
	taps, depth          = R8, R9
	ws                   = R10 // bytes between the weights of two channels of x
	block                = R11 // bytes of x of a position
	skip                 = R12 // bytes of w of a tap
	from, left           = R13, RBX
	position             = RAX
)

func main() {
	ConstraintExpr("amd64,!noasm")
	avx512.function()
	avx2.function()
	Generate()
}

func (s isa) function() {
	TEXT("taps"+s.name, NOSPLIT, "func(y, x, w *float64, at *int, taps, depth, ws, rows int)")
	Doc(fmt.Sprintf("taps%s computes up to %d rows of y: %d lanes of up to %d rows, %d lanes of more.",
		s.name, s.rows, 4*s.bytes/8, s.wide, 2*s.bytes/8),
		"ws is the bytes between the weights of two channels of x.")
	Pragma("noescape")
	for _, p := range []struct {
		name string
		to   GPPhysical
	}{{"y", yPtr}, {"x", xPtr}, {"w", wPtr}, {"at", at}, {"taps", taps}, {"depth", depth}, {"ws", ws}, {"rows", position}} {
		Load(Param(p.name), p.to)
	}
	MOVQ(depth, skip)
	IMULQ(ws, skip)
	MOVQ(depth, block)
	SHLQ(U8(8), block) // 8 lanes
	for r := 1; r < s.rows; r++ {
		CMPQ(position, U8(r))
		JEQ(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	for r := s.rows; r >= 1; r-- {
		tile{isa: s, height: r, width: s.width(r)}.body()
	}
}

// width is the number of vectors of a tile with r rows.
func (s isa) width(r int) int {
	if r <= s.wide {
		return 4
	}
	return 2
}

// A tile is the loop for one number of rows.
type tile struct {
	isa
	height, width int
}

func (t tile) label(name string) string { return fmt.Sprintf("%s%d", name, t.height) }

// sum is the accumulator of row r, vector v.
func (t tile) sum(r, v int) VecPhysical { return t.vectors[r*t.width+v] }

func (t tile) body() {
	Label(t.label("rows"))
	for r := range t.height {
		for v := range t.width {
			s := t.sum(r, v)
			if t.bytes == 64 {
				VPXORQ(s, s, s)
			} else {
				VPXOR(s, s, s)
			}
		}
	}
	Label(t.label("tap"))
	MOVQ(Mem{Base: at}, from)
	ADDQ(U8(8), at)
	TESTQ(from, from)
	JS(LabelRef(t.label("padding")))
	IMULQ(block, from)
	ADDQ(xPtr, from)
	MOVQ(depth, left)
	Label(t.label("channel"))
	t.step()
	DECQ(left)
	JNZ(LabelRef(t.label("channel")))
	DECQ(taps)
	JNZ(LabelRef(t.label("tap")))
	JMP(LabelRef(t.label("store")))
	Label(t.label("padding"))
	ADDQ(skip, wPtr)
	DECQ(taps)
	JNZ(LabelRef(t.label("tap")))
	Label(t.label("store"))
	for r := range t.height {
		for v := range t.width {
			VMOVUPD(t.sum(r, v), Mem{Base: yPtr, Disp: 8*lanes*r + t.bytes*v})
		}
	}
	VZEROUPPER()
	RET()
}

// step adds the products of one channel of x.
func (t tile) step() {
	used := t.height * t.width
	x, w := t.vectors[used:used+t.width], t.vectors[used+t.width:]
	w = w[:min(2, len(w))]
	for v := range t.width {
		VMOVUPD(Mem{Base: from, Disp: t.bytes * v}, x[v])
	}
	ADDQ(U32(8*lanes), from)
	for r := range t.height {
		b := w[r%len(w)]
		VBROADCASTSD(Mem{Base: wPtr, Disp: 8 * r}, b)
		for v := range t.width {
			VFMADD231PD(x[v], b, t.sum(r, v))
		}
	}
	ADDQ(ws, wPtr)
}
