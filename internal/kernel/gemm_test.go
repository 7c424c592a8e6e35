package kernel

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/cpu"
)

// eachISA runs f on every instruction set of the machine.
func eachISA(t *testing.T, f func(t *testing.T)) {
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			f(t)
		})
	}
}

// eachFormat runs f for both types of entries.
func eachFormat(t *testing.T, f64 func(*testing.T, format[float64]), f32 func(*testing.T, format[float32])) {
	t.Run("float64", func(t *testing.T) {
		f64(t, format[float64]{eps: 0x1p-52, tiny: 0x1p-1074, apply: func(ctx context.Context, threads int, o op, dst, a, b matrix[float64]) error {
			return apply(ctx, threads, o, general64(dst), general64(a), general64(b))
		}})
	})
	t.Run("float32", func(t *testing.T) {
		f32(t, format[float32]{eps: 0x1p-23, tiny: 0x1p-149, apply: func(ctx context.Context, threads int, o op, dst, a, b matrix[float32]) error {
			return apply(ctx, threads, o, general32(dst), general32(a), general32(b))
		}})
	})
}

// A format is a type of entries, with what the tests know of it.
type format[T float] struct {
	eps, tiny float64 // the unit in the last place of 1, the smallest number
	apply     func(ctx context.Context, threads int, o op, dst, a, b matrix[T]) error
}

func (f format[T]) run(t *testing.T, threads int, o op, dst, a, b matrix[T]) {
	t.Helper()
	if err := f.apply(context.Background(), threads, o, dst, a, b); err != nil {
		t.Fatal(err)
	}
}

// An op is a function under test.
type op int

const (
	mul op = iota
	mulAdd
	mulTrans
	mulTransAdd
	mulSym
	mulLower
	mirrorOnly
)

var ops = []op{mul, mulAdd, mulTrans, mulTransAdd}

func (o op) String() string {
	return [...]string{"ab", "c+ab", "ab'", "c+ab'", "ab' symmetric", "ab' lower", "mirror"}[o]
}
func (o op) trans() bool { return o == mulTrans || o == mulTransAdd || o == mulSym }
func (o op) add() bool   { return o == mulAdd || o == mulTransAdd }

func apply[M General](ctx context.Context, threads int, o op, dst, a, b M) error {
	switch o {
	case mul, mulAdd:
		return MulTo(ctx, threads, dst, a, b, o.add())
	case mulTrans, mulTransAdd:
		return MulTransTo(ctx, threads, dst, a, b, o.add())
	case mulSym:
		return MulSymTo(ctx, threads, dst, a, b)
	case mulLower:
		return MulLowerTo(ctx, threads, dst, a, b)
	}
	Mirror(dst)
	return nil
}

func general64(m matrix[float64]) blas64.General {
	return blas64.General{Rows: m.rows, Cols: m.cols, Stride: m.stride, Data: m.data}
}

func general32(m matrix[float32]) blas32.General {
	return blas32.General{Rows: m.rows, Cols: m.cols, Stride: m.stride, Data: m.data}
}

// A framed matrix lies in a larger buffer filled with NaN: a kernel that reads
// beside it spoils its result, one that writes beside it is found.
type framed[T float] struct {
	matrix[T]
	buf        []T
	start, end int
}

// frame returns an r x c matrix at an address shift entries past an aligned
// one, its entries from next.
func frame[T float](r, c, shift int, next func() T) framed[T] {
	const guard, gap = 40, 3
	f := framed[T]{start: guard + shift}
	f.end = f.start + max(0, r*(c+gap)-gap)
	f.buf = make([]T, f.end+guard)
	for i := range f.buf {
		f.buf[i] = T(math.NaN())
	}
	f.matrix = matrix[T]{r, c, c + gap, f.buf[f.start:f.end:f.end]}
	for i := range r {
		for j := range c {
			f.data[i*f.stride+j] = next()
		}
	}
	return f
}

func (f framed[T]) clone() framed[T] {
	f.buf = slices.Clone(f.buf)
	f.data = f.buf[f.start:f.end:f.end]
	return f
}

func (f framed[T]) check(t *testing.T) {
	t.Helper()
	for i, v := range f.buf {
		at := i - f.start
		inside := at >= 0 && i < f.end && at%f.stride < f.cols
		if !inside && v == v {
			t.Fatalf("%d x %d: %v was written at %d, outside", f.rows, f.cols, v, at)
		}
	}
}

// integers are small enough for every sum of the tests to be exact in float32.
func integers[T float](rng *rand.Rand, scale float64) func() T {
	return func() T { return T(float64(rng.IntN(9)-4) * scale) }
}

func normals[T float](rng *rand.Rand) func() T {
	return func() T { return T(rng.NormFloat64()) }
}

// plainEntry is the definition of the products, in float64: it returns the entry
// (i, j) and the sum of the magnitudes of its terms.
func plainEntry[T float](o op, c, a, b *matrix[T], i, j int) (sum, size float64) {
	if o.add() {
		sum = float64(*c.at(i, j))
		size = math.Abs(sum)
	}
	for l := range a.cols {
		v := float64(*a.at(i, l))
		if o.trans() {
			v *= float64(*b.at(j, l))
		} else {
			v *= float64(*b.at(l, j))
		}
		sum += v
		size += math.Abs(v)
	}
	return sum, size
}

// checkProduct runs o and compares it with the definition, within slack units
// of rounding of the sum of the terms' magnitudes.
func checkProduct[T float](t *testing.T, f format[T], threads int, o op, m, n, k, shift int, slack float64, next, other func() T) {
	t.Helper()
	a, c := frame(m, k, shift, next), frame(m, n, (shift+1)%4, next)
	b := frame(k, n, (shift+2)%4, other)
	if o.trans() {
		b = frame(n, k, (shift+2)%4, other)
	}
	old := c.clone()
	f.run(t, threads, o, c.matrix, a.matrix, b.matrix)
	for i := range m {
		for j := range n {
			want, size := plainEntry(o, &old.matrix, &a.matrix, &b.matrix, i, j)
			if d := math.Abs(float64(*c.at(i, j)) - want); !(d <= slack*f.eps*size) {
				t.Fatalf("%v, %dx%dx%d, %d threads: (%d,%d) is %v, want %v", o, m, n, k, threads, i, j, *c.at(i, j), want)
			}
		}
	}
	c.check(t)
}

// TestProductsOfIntegers compares products round the sizes of the tiles with
// the definition; all sums are exact. With the scale of the second round they
// are multiples of the smallest number: nothing may be flushed to zero.
func TestProductsOfIntegers(t *testing.T) {
	heights := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 27, 29, 121}
	widths := []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 23, 31, 32, 33, 49, 63}
	depths := []int{0, 1, 2, 3, 4, 5, 8, 9, 15}
	if testing.Short() {
		depths = []int{1, 5}
	}
	eachISA(t, func(t *testing.T) {
		eachFormat(t, func(t *testing.T, f format[float64]) { integerProducts(t, f, heights, widths, depths) },
			func(t *testing.T, f format[float32]) { integerProducts(t, f, heights, widths, depths) })
	})
}

func integerProducts[T float](t *testing.T, f format[T], heights, widths, depths []int) {
	rng := rand.New(rand.NewPCG(1, 2))
	one, root := integers[T](rng, 1), math.Sqrt(f.tiny)
	down := math.Exp2(math.Floor(math.Log2(root)))
	for h, m := range heights {
		for w, n := range widths {
			o := ops[(h+w)%len(ops)]
			for d, k := range depths {
				checkProduct(t, f, 1, o, m, n, k, d%4, 0, one, one)
			}
			checkProduct(t, f, 1, mul, m, n, 4, 0, 0, integers[T](rng, down), integers[T](rng, f.tiny/down))
		}
	}
}

// TestProducts compares products of several blocks with the definition, in
// float64. A sum of k terms, each product rounded or fused, is within k eps/2
// times the sum of the magnitudes to first order; the reference, if it is
// float64 too, as far again.
func TestProducts(t *testing.T) {
	shapes := [][3]int{{65, 193, 257}, {63, 200, 31}, {130, 97, 300}, {1, 300, 513}, {300, 1, 20}, {10, 1100, 9}, {120, 1031, 20}}
	if testing.Short() {
		shapes = [][3]int{{63, 200, 31}, {10, 1100, 9}, {3, 40, 257}}
	}
	eachISA(t, func(t *testing.T) {
		eachFormat(t, func(t *testing.T, f format[float64]) { normalProducts(t, f, shapes) },
			func(t *testing.T, f format[float32]) { normalProducts(t, f, shapes) })
	})
}

func normalProducts[T float](t *testing.T, f format[T], shapes [][3]int) {
	next := normals[T](rand.New(rand.NewPCG(1, 2)))
	for _, s := range shapes {
		for _, o := range ops {
			checkProduct(t, f, 1+int(o), o, s[0], s[1], s[2], int(o), float64(s[2]+1), next, next)
		}
	}
}

// TestBits: the number of threads changes no bit, nor does the instruction
// set among those with fused multiply-adds, nor the symmetric product what it
// computes, on and below the diagonal.
func TestBits(t *testing.T) {
	eachFormat(t, sameBits[float64], sameBits[float32])
}

func sameBits[T float](t *testing.T, f format[T]) {
	n, k := 1050, 300 // more than one block in every direction
	if testing.Short() {
		n = 200
	}
	next := normals[T](rand.New(rand.NewPCG(5, 6)))
	none := func() T { return T(math.NaN()) }
	a, b := frame(n, k, 0, next), frame(n, k, 1, next)
	var fused []T
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		restore := cpu.Force(isa)
		n := n
		if isa == cpu.Generic {
			n = min(n, 400)
		}
		a, b := a, b
		a.rows, b.rows = n, n
		full, sym := frame(n, n, 2, none), frame(n, n, 3, none)
		f.run(t, 1, mulTrans, full.matrix, a.matrix, b.matrix)
		f.run(t, 1, mulSym, sym.matrix, a.matrix, b.matrix)
		again := frame(n, n, 0, none)
		f.run(t, 3, mulTrans, again.matrix, a.matrix, b.matrix)
		same(t, isa.String()+": threads", full.data, again.data)
		f.run(t, 3, mulSym, again.matrix, a.matrix, b.matrix)
		same(t, isa.String()+": threads, symmetric", sym.data, again.data)
		for i := range n {
			for j := range i + 1 {
				if *sym.at(i, j) != *full.at(i, j) || *sym.at(j, i) != *full.at(i, j) {
					t.Fatalf("%v: (%d,%d) is %v and mirrored %v, in the full product %v", isa, i, j, *sym.at(i, j), *sym.at(j, i), *full.at(i, j))
				}
			}
		}
		sym.check(t)
		f.run(t, 1, mulLower, again.matrix, a.matrix, b.matrix)
		for i := range n {
			for j := range i + 1 {
				if *again.at(i, j) != *full.at(i, j) {
					t.Fatalf("%v: the lower triangle has %v at (%d,%d), the full product %v", isa, *again.at(i, j), i, j, *full.at(i, j))
				}
			}
		}
		again.check(t)
		if isa > cpu.Generic {
			if fused != nil {
				same(t, isa.String()+": other instructions", fused, full.data)
			}
			fused = full.data
		}
		restore()
	}
}

// same fails unless x and y are the same numbers, NaN being the same as NaN.
func same[T float](t *testing.T, what string, x, y []T) {
	t.Helper()
	for i, v := range x {
		if w := y[i]; v != w && (v == v || w == w) {
			t.Fatalf("%s: entry %d is %v and %v", what, i, v, w)
		}
	}
}

// TestMulSym compares symmetric products of all small sizes, and of a matrix
// with itself, with the definition; all sums are exact.
func TestMulSym(t *testing.T) {
	sizes := []int{193, 250}
	for n := range 66 {
		sizes = append(sizes, n)
	}
	eachISA(t, func(t *testing.T) {
		eachFormat(t, func(t *testing.T, f format[float64]) { symmetricProducts(t, f, sizes) },
			func(t *testing.T, f format[float32]) { symmetricProducts(t, f, sizes) })
	})
}

func symmetricProducts[T float](t *testing.T, f format[T], sizes []int) {
	next := integers[T](rand.New(rand.NewPCG(3, 4)), 1)
	for _, n := range sizes {
		k := n % 7
		a, c := frame(n, k, n%4, next), frame(n, n, (n+1)%4, next)
		f.run(t, 1+n%2, mulSym, c.matrix, a.matrix, a.matrix)
		for i := range n {
			for j := range n {
				if want, _ := plainEntry(mulSym, &c.matrix, &a.matrix, &a.matrix, i, j); float64(*c.at(i, j)) != want {
					t.Fatalf("n=%d: (%d,%d) is %v, want %v", n, i, j, *c.at(i, j), want)
				}
			}
		}
		c.check(t)
	}
}

func TestMirror(t *testing.T) {
	eachISA(t, func(t *testing.T) { eachFormat(t, mirrors[float64], mirrors[float32]) })
}

func mirrors[T float](t *testing.T, f format[T]) {
	next := normals[T](rand.New(rand.NewPCG(7, 8)))
	for _, n := range []int{0, 1, 2, 7, 8, 9, 16, 17, 31, 33, 63, 64, 100, 131, 259} {
		a := frame(n, n, n%4, next)
		old := a.clone()
		f.run(t, 1, mirrorOnly, a.matrix, a.matrix, a.matrix)
		for i := range n {
			for j := range n {
				if *a.at(i, j) != *old.at(max(i, j), min(i, j)) {
					t.Fatalf("n=%d: (%d,%d) is %v, want %v", n, i, j, *a.at(i, j), *old.at(max(i, j), min(i, j)))
				}
			}
		}
		a.check(t)
	}
}

// TestNotFinite: NaN and Inf spread as in the plain sums, through entries 0 of
// the other factor too, and nothing of what dst held gets into a product that
// is not added to it.
func TestNotFinite(t *testing.T) {
	eachISA(t, func(t *testing.T) { eachFormat(t, notFinite[float64], notFinite[float32]) })
}

func notFinite[T float](t *testing.T, f format[T]) {
	rng := rand.New(rand.NewPCG(9, 10))
	values := []T{0, 0, 0, 0, 0, 1, -1, 2, T(math.Inf(1)), T(math.Inf(-1)), T(math.NaN())}
	for round := range 40 {
		m, n, k := 1+rng.IntN(30), 1+rng.IntN(40), 1+rng.IntN(6)
		rare := func() T { return values[rng.IntN(5+round%7)] }
		o := ops[round%len(ops)]
		a, b, c := frame(m, k, 0, rare), frame(k, n, 1, rare), frame(m, n, 2, rare)
		if o.trans() {
			b = frame(n, k, 1, rare)
		}
		old := c.clone()
		f.run(t, 1, o, c.matrix, a.matrix, b.matrix)
		for i := range m {
			for j := range n {
				want, _ := plainEntry(o, &old.matrix, &a.matrix, &b.matrix, i, j)
				same(t, fmt.Sprintf("%v %dx%dx%d (%d,%d)", o, m, n, k, i, j), []T{T(want)}, []T{*c.at(i, j)})
			}
		}
	}
}

func TestBadShapes(t *testing.T) {
	m := func(r, c int) blas64.General {
		return blas64.General{Rows: r, Cols: c, Stride: c, Data: make([]float64, r*c)}
	}
	ctx := context.Background()
	for name, f := range map[string]func() error{
		"inner":           func() error { return MulTo(ctx, 1, m(2, 3), m(2, 4), m(5, 3), false) },
		"rows":            func() error { return MulTo(ctx, 1, m(1, 3), m(2, 4), m(4, 3), false) },
		"columns":         func() error { return MulTo(ctx, 1, m(2, 2), m(2, 4), m(4, 3), false) },
		"inner, trans":    func() error { return MulTransTo(ctx, 1, m(2, 3), m(2, 4), m(3, 5), false) },
		"not square":      func() error { return MulSymTo(ctx, 1, m(2, 3), m(2, 4), m(3, 4)) },
		"empty and wrong": func() error { return MulTo(ctx, 1, m(0, 3), m(0, 4), m(5, 3), false) },
	} {
		func() {
			defer func() {
				if recover() != badShape {
					t.Errorf("%s: no panic", name)
				}
			}()
			_ = f()
		}()
	}
}

// TestNoAllocations: on one thread the products allocate nothing. (Under the
// race detector a sync.Pool forgets one in four buffers; the mean, rounded
// down, is 0 all the same.)
func TestNoAllocations(t *testing.T) {
	eachISA(t, func(t *testing.T) { eachFormat(t, noAllocations[float64], noAllocations[float32]) })
}

func noAllocations[T float](t *testing.T, f format[T]) {
	next := normals[T](rand.New(rand.NewPCG(1, 1)))
	for _, n := range []int{5, 50, 130} {
		a, b, c := frame(n, n, 0, next), frame(n, n, 0, next), frame(n, n, 0, next)
		for _, o := range []op{mul, mulAdd, mulTrans, mulTransAdd, mulSym, mirrorOnly} {
			if got := testing.AllocsPerRun(100, func() { f.run(t, 1, o, c.matrix, a.matrix, b.matrix) }); got != 0 {
				t.Errorf("%v, n=%d: %v allocations", o, n, got)
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 2, 300} {
		a := random(rng, n, n)
		for _, threads := range []int{1, 2} {
			if err := MulTo(ctx, threads, random(rng, n, n), a, a, false); err != context.Canceled {
				t.Errorf("n=%d, %d threads: got %v, want %v", n, threads, err, context.Canceled)
			}
		}
	}
}

// countdown is a context that is cancelled once it has been asked n times.
type countdown struct {
	context.Context
	n atomic.Int64
}

func (c *countdown) Err() error {
	if c.n.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestCancelledInside: a product that has begun ends before its last tile.
func TestCancelledInside(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a := random(rng, 1200, 1200)
	eachISA(t, func(t *testing.T) {
		for _, threads := range []int{1, 2} {
			ctx := &countdown{Context: context.Background()}
			ctx.n.Store(5)
			dst := random(rng, 1200, 1200)
			if err := MulTo(ctx, threads, dst, a, a, false); err != context.Canceled {
				t.Errorf("%d threads: got %v, want %v", threads, err, context.Canceled)
			}
		}
	})
}

// random returns an r x c matrix of normals with a stride beyond c; what lies
// between the rows is a guard that no kernel may touch.
func random(rng *rand.Rand, r, c int) blas64.General {
	return general64(frame(r, c, 0, normals[float64](rng)).matrix)
}
