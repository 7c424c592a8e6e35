// Command gemm writes the inner loops of matrix products: the tile
//
//	c (rows, cols) = or += a (rows, k) b (k, cols)
//
// in registers for every number of rows up to rowsAVX512 or rowsAVX2 and for
// one or two vectors of columns, in float64 and float32; and the transposition
// of strips, for packing and mirroring.
//
// One entry of a is broadcast against the vectors of a row of b, as in Goto
// and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM
// Trans. Math. Softw. 34(3), 2008. Each entry of c is one chain of fused
// multiply-adds in the order of k, so it has the same bits in any tile and in
// both instruction sets.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The tile is as high as the registers allow: 2 rows accumulators, 2 vectors
// of b and 2 broadcasts of a in 32 or 16 registers.
const (
	rowsAVX512 = 14
	rowsAVX2   = 6
	unroll     = 4 // steps of k per turn of the loop
)

// A format is a floating-point type and its instructions.
type format struct {
	name                      string // in the names of functions
	goType                    string
	size                      int
	fma, broadcast, load, add func(...Op)
	mask                      func(_, _, _ Op)
}

var formats = []format{
	{"64", "float64", 8, VFMADD231PD, VBROADCASTSD, VMOVUPD, VADDPD, VMASKMOVPD},
	{"32", "float32", 4, VFMADD231PS, VBROADCASTSS, VMOVUPS, VADDPS, VMASKMOVPS},
}

// An isa is an instruction set.
type isa struct {
	name    string
	bytes   int // of a vector
	rows    int // of the highest tile
	vectors []VecPhysical
}

var (
	avx512 = isa{"AVX512", 64, rowsAVX512, []VecPhysical{
		Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
	}}
	avx2 = isa{"AVX2", 32, rowsAVX2, []VecPhysical{
		Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15,
	}}
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, f := range formats {
		for _, s := range []isa{avx512, avx2} {
			tile{isa: s, format: f}.function()
		}
	}
	transpose64()
	transpose32()
	Generate()
}

// The general registers of a tile.
var (
	aPtr, aPtr7  = RSI, R8 // rows 0 to 6 and 7 to 13 of a
	bPtr, cPtr   = RDI, RDX
	steps        = RCX
	as, as3, as5 = R9, R10, R11 // 1, 3, 5 times the bytes between rows of a
	ak, bs, cs   = R12, R13, RBX
	scratch      = RAX
	count        = R8 // columns in the last vector; at the ends, where aPtr7 is not in use
)

// A tile writes the function of one instruction set and format.
type tile struct {
	isa
	format
	height, width int // of the body being written: rows, vectors
}

func (t tile) function() {
	TEXT("tile"+t.format.name+t.isa.name, NOSPLIT, fmt.Sprintf(
		"func(a, b, c *%s, k, as, ak, bs, cs, rows, cols int, add bool)", t.goType))
	Doc(fmt.Sprintf("tile%s%s computes c = a b, or c += a b if add is set, for up to %d rows and %d",
		t.format.name, t.isa.name, t.rows, 2*t.lanes()),
		"columns. as, bs and cs are the bytes between rows, ak those between the",
		"columns of a. Full vectors of b are read.")
	Pragma("noescape")
	for _, p := range []struct {
		name string
		to   GPPhysical
	}{
		{"a", aPtr},
		{"b", bPtr},
		{"c", cPtr},
		{"k", steps},
		{"as", as},
		{"ak", ak},
		{"bs", bs},
		{"cs", cs},
		{"cols", count},
	} {
		Load(Param(p.name), p.to)
	}
	LEAQ(Mem{Base: as, Index: as, Scale: 2}, as3)
	LEAQ(Mem{Base: as, Index: as, Scale: 4}, as5)
	Load(Param("rows"), scratch)
	CMPQ(count, U8(t.lanes()))
	JLE(LabelRef("narrow"))
	for width := 2; width > 0; width-- {
		if width == 1 {
			Label("narrow")
		}
		for h := t.rows - 1; h >= 1; h-- {
			CMPQ(scratch, U8(h))
			JEQ(LabelRef(fmt.Sprintf("body%dx%d", h, width)))
		}
		for h := t.rows; h >= 1; h-- {
			t.height, t.width = h, width
			t.body()
		}
	}
}

func (t tile) lanes() int { return t.bytes / t.size }

func (t tile) label(name string) string { return fmt.Sprintf("%s%dx%d", name, t.height, t.width) }

// sum is the accumulator of row r, vector v.
func (t tile) sum(r, v int) VecPhysical { return t.vectors[r*t.width+v] }

// body writes the loop for one height and width.
func (t tile) body() {
	Label(t.label("body"))
	t.fetch()
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
	if t.height > 7 {
		LEAQ(Mem{Base: as3, Index: as, Scale: 4}, aPtr7)
		ADDQ(aPtr, aPtr7)
	}
	SUBQ(U8(unroll), steps)
	JL(LabelRef(t.label("rest")))
	Label(t.label("loop"))
	for range unroll {
		t.step()
	}
	SUBQ(U8(unroll), steps)
	JGE(LabelRef(t.label("loop")))
	Label(t.label("rest"))
	ADDQ(U8(unroll), steps)
	JZ(LabelRef(t.label("store")))
	Label(t.label("single"))
	t.step()
	DECQ(steps)
	JNZ(LabelRef(t.label("single")))
	Label(t.label("store"))
	t.store()
}

// fetch brings the tile of c to the first-level cache while the sums are made;
// the last byte of a row is in a line of its own where c is not aligned.
func (t tile) fetch() {
	MOVQ(cPtr, scratch)
	for range t.height {
		for at := 0; at < t.width*t.bytes; at += 64 {
			PREFETCHT0(Mem{Base: scratch, Disp: at})
		}
		PREFETCHT0(Mem{Base: scratch, Disp: t.width*t.bytes - 1})
		ADDQ(cs, scratch)
	}
}

// step is one step of k.
func (t tile) step() {
	n := len(t.vectors)
	b, a := t.vectors[n-4:n-2], t.vectors[n-2:]
	for v := range t.width {
		t.load(Mem{Base: bPtr, Disp: v * t.bytes}, b[v])
	}
	ADDQ(bs, bPtr)
	for r := range t.height {
		t.broadcast(row(r), a[r%2])
		for v := range t.width {
			t.fma(b[v], a[r%2], t.sum(r, v))
		}
	}
	ADDQ(ak, aPtr)
	if t.height > 7 {
		ADDQ(ak, aPtr7)
	}
}

// row is the address of row r of a.
func row(r int) Mem {
	m := []Mem{
		{},
		{Index: as, Scale: 1},
		{Index: as, Scale: 2},
		{Index: as3, Scale: 1},
		{Index: as, Scale: 4},
		{Index: as5, Scale: 1},
		{Index: as3, Scale: 2},
	}[r%7]
	m.Base = []Register{aPtr, aPtr7}[r/7].(GPPhysical)
	return m
}

// store writes the accumulators to c, or adds them; the last vector under a
// mask.
func (t tile) store() {
	Load(Param("cols"), count)
	if t.width == 2 {
		SUBQ(U8(t.lanes()), count)
	}
	Load(Param("add"), scratch.As8())
	if t.bytes == 64 {
		MOVQ(I32(-1), steps)
		BZHIQ(count, steps, steps)
		KMOVQ(steps, K1)
		t.rowsOfC(func(s VecPhysical, m Mem, last bool) {
			if last {
				t.add(m, s, K1, s)
			} else {
				t.add(m, s, s)
			}
		}, func(s VecPhysical, m Mem, last bool) {
			if last {
				t.load(s, K1, m)
			} else {
				t.load(s, m)
			}
		}, "")
		return
	}
	CMPQ(count, U8(t.lanes()))
	JNE(LabelRef(t.label("part")))
	t.rowsOfC(func(s VecPhysical, m Mem, _ bool) { t.add(m, s, s) },
		func(s VecPhysical, m Mem, _ bool) { t.load(s, m) }, "")
	Label(t.label("part"))
	mask, other := t.vectors[14], t.vectors[15]
	NEGQ(count)
	LEAQ(t.maskTable(), steps)
	t.load(Mem{Base: steps, Disp: 32, Index: count, Scale: uint8(t.size)}, mask)
	t.rowsOfC(func(s VecPhysical, m Mem, last bool) {
		if last {
			t.mask(m, mask, other)
			t.add(other, s, s)
		} else {
			t.add(m, s, s)
		}
	}, func(s VecPhysical, m Mem, last bool) {
		if last {
			t.mask(s, mask, m)
		} else {
			t.load(s, m)
		}
	}, "part")
}

// rowsOfC writes both endings of a tile: add and store, or store only.
func (t tile) rowsOfC(add, store func(s VecPhysical, m Mem, last bool), suffix string) {
	TESTB(scratch.As8(), scratch.As8())
	JZ(LabelRef(t.label("set" + suffix)))
	for _, adding := range []bool{true, false} {
		if !adding {
			Label(t.label("set" + suffix))
		}
		for r := range t.height {
			for v := range t.width {
				m, last := Mem{Base: cPtr, Disp: v * t.bytes}, v == t.width-1
				if adding {
					add(t.sum(r, v), m, last)
				}
				store(t.sum(r, v), m, last)
			}
			ADDQ(cs, cPtr)
		}
		VZEROUPPER()
		RET()
	}
}

var masks Mem

// maskTable holds 32 bytes of ones and 32 of zeros: 32 bytes from a place
// before the middle are a mask.
func (t tile) maskTable() Mem {
	if masks.Symbol.Name == "" {
		masks = GLOBL("tileMask", RODATA|NOPTR)
		for i := range 8 {
			DATA(8*i, U64([]uint64{^uint64(0), 0}[i/4]))
		}
	}
	return masks
}
