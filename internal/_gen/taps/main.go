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

// An isa is an instruction set. Tiles are two vectors wide; those of up to wide
// rows may be four, as two leave too few sums to hide the latency.
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
	ws                   = R10      // bytes between the weights of two channels of x
	xs, ys               = R11, R15 // bytes between rows of x and y
	block                = R14      // bytes of x of a position
	skip                 = R12      // bytes of w of a tap
	from, left           = R13, RBX
	scratch              = RAX
)

func main() {
	ConstraintExpr("amd64,!noasm")
	avx512.function()
	avx2.function()
	convert("widenAVX", "dst *float64, src *float32", 4, 8, func(from, to Mem) {
		VCVTPS2PD(from, Y0)
		VMOVUPD(Y0, to)
	})
	convert("narrowAVX", "dst *float32, src *float64", 8, 4, func(from, to Mem) {
		VCVTPD2PSY(from, X0)
		VMOVUPS(X0, to)
	})
	prefetch()
	Generate()
}

// convert writes a function that converts numbers of from bytes to numbers of
// to bytes, step four at a time.
func convert(name, params string, from, to int, step func(from, to Mem)) {
	TEXT(name, NOSPLIT, "func("+params+", n int)")
	Pragma("noescape")
	Doc(name + " converts n numbers, a multiple of 8.")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Label("loop")
	for i := 0; i < 8; i += 4 {
		step(Mem{Base: RSI, Disp: from * i}, Mem{Base: RDI, Disp: to * i})
	}
	ADDQ(U8(8*from), RSI)
	ADDQ(U8(8*to), RDI)
	SUBQ(U8(8), RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// prefetch writes the function that fetches part of a matrix.
func prefetch() {
	TEXT("prefetchLines", NOSPLIT, "func(p *byte, stride, rows, bytes int)")
	Pragma("noescape")
	Doc("prefetchLines brings rows of bytes, stride apart, to the second-level cache.")
	p, stride, rows, bytes, at, left := RDI, RSI, RCX, RDX, RAX, RBX
	Load(Param("p"), p)
	Load(Param("stride"), stride)
	Load(Param("rows"), rows)
	Load(Param("bytes"), bytes)
	Label("row")
	MOVQ(p, at)
	MOVQ(bytes, left)
	Label("line")
	PREFETCHT1(Mem{Base: at})
	ADDQ(U8(64), at)
	SUBQ(U8(64), left)
	JG(LabelRef("line"))
	ADDQ(stride, p)
	DECQ(rows)
	JNZ(LabelRef("row"))
	RET()
}

func (s isa) function() {
	TEXT("taps"+s.name, NOSPLIT, "func(y, x, w *float64, at *int, taps, depth, ys, xs, ws, rows, vectors int)")
	Doc(fmt.Sprintf("taps%s computes up to %d rows of y, two vectors of each, or up to %d rows, four vectors",
		s.name, s.rows, s.wide),
		"of each. ys, xs and ws are the bytes between rows of y, x and w.")
	Pragma("noescape")
	for _, p := range []struct {
		name string
		to   GPPhysical
	}{
		{"y", yPtr},
		{"x", xPtr},
		{"w", wPtr},
		{"at", at},
		{"taps", taps},
		{"depth", depth},
		{"ys", ys},
		{"xs", xs},
		{"ws", ws},
	} {
		Load(Param(p.name), p.to)
	}
	MOVQ(depth, skip)
	IMULQ(ws, skip)
	MOVQ(depth, block)
	IMULQ(xs, block)
	Load(Param("vectors"), left)
	Load(Param("rows"), scratch)
	CMPQ(left, U8(4))
	JEQ(LabelRef("wide"))
	s.tiles(2, s.rows)
	Label("wide")
	s.tiles(4, s.wide)
}

// tiles writes the tiles of a width and the choice among them.
func (s isa) tiles(width, rows int) {
	for r := 1; r < rows; r++ {
		CMPQ(scratch, U8(r))
		JEQ(LabelRef(tile{s, r, width}.label("rows")))
	}
	for r := rows; r >= 1; r-- {
		tile{s, r, width}.body()
	}
}

// A tile is the loop for one number of rows and vectors.
type tile struct {
	isa
	height, width int
}

func (t tile) label(name string) string { return fmt.Sprintf("%s%dx%d", name, t.height, t.width) }

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
			VMOVUPD(t.sum(r, v), Mem{Base: yPtr, Disp: t.bytes * v})
		}
		ADDQ(ys, yPtr)
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
	ADDQ(xs, from)
	for r := range t.height {
		b := w[r%len(w)]
		VBROADCASTSD(Mem{Base: wPtr, Disp: 8 * r}, b)
		for v := range t.width {
			VFMADD231PD(x[v], b, t.sum(r, v))
		}
	}
	ADDQ(ws, wPtr)
}
