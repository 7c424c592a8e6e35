package layer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/layer"
)

// guarded returns an r x c matrix of standard normals, with guards between its
// rows and after the last.
func guarded(rng *rand.Rand, r, c int) blas64.General {
	const guard = 3
	a := blas64.General{Rows: r, Cols: c, Stride: c + guard, Data: make([]float64, r*(c+guard))}
	for i := range a.Data {
		a.Data[i] = math.Inf(1)
		if i%a.Stride < c {
			a.Data[i] = rng.NormFloat64()
		}
	}
	return a
}

// clone returns a copy of a, guards included.
func clone(a blas64.General) blas64.General {
	a.Data = slices.Clone(a.Data)
	return a
}

// view returns r x c of the memory of a, in a's rows.
func view(a blas64.General, r, c int) blas64.General {
	a.Rows, a.Cols = r, c
	return a
}

func get(a blas64.General, i, j int) float64 { return a.Data[i*a.Stride+j] }

func transpose(a blas64.General) blas64.General {
	b := blas64.General{Rows: a.Cols, Cols: a.Rows, Stride: a.Rows, Data: make([]float64, a.Rows*a.Cols)}
	for i := range b.Rows {
		for j := range b.Cols {
			b.Data[i*b.Stride+j] = get(a, j, i)
		}
	}
	return b
}

// wantProduct checks got = a b + c entry by entry; c may be empty. The
// rounding of a sum of k products is below k+1 units of the sum of their
// magnitudes in any order; twice that, as A may itself be a sum of weights.
func wantProduct(t *testing.T, what string, got, a, b, c blas64.General) {
	t.Helper()
	if got.Rows != a.Rows || got.Cols != b.Cols {
		t.Fatalf("%s: %d x %d, want %d x %d", what, got.Rows, got.Cols, a.Rows, b.Cols)
	}
	for i := range got.Rows {
		for j := range got.Cols {
			want, size := 0., 0.
			if c.Rows > 0 {
				want = get(c, i, j)
				size = math.Abs(want)
			}
			terms := 2
			for k := range a.Cols {
				p := get(a, i, k) * get(b, k, j)
				if p != 0 {
					terms++
				}
				want += p
				size += math.Abs(p)
			}
			if d := math.Abs(get(got, i, j) - want); !(d <= 2*float64(terms)*0x1p-53*size) {
				t.Fatalf("%s: entry (%d,%d) is %v, want %v, terms %v", what, i, j, get(got, i, j), want, size)
			}
		}
	}
	for i := range got.Rows {
		end := min((i+1)*got.Stride, len(got.Data))
		for _, v := range got.Data[i*got.Stride+got.Cols : end] {
			if got.Stride > got.Cols && !math.IsInf(v, 1) {
				t.Fatalf("%s: the guard after row %d was overwritten with %v", what, i, v)
			}
		}
	}
}

// column returns x as a matrix of one column.
func column(x []float64) blas64.General {
	return blas64.General{Rows: len(x), Cols: 1, Stride: 1, Data: x}
}

// testLinear compares input i's matrix of a rule, and its forward pass with
// all other inputs zero, with the dense matrix a and the shift b.
func testLinear(t *testing.T, rule layer.Linear, i int, a blas64.General, b []float64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(a.Rows), uint64(a.Cols)))
	if rule.OutputLen() != a.Rows || rule.Inputs()[i] != a.Cols {
		t.Fatalf("%d -> %d, want %d -> %d", rule.Inputs()[i], rule.OutputLen(), a.Cols, a.Rows)
	}
	var x [][]float64
	for _, n := range rule.Inputs() {
		x = append(x, make([]float64, n))
	}
	for k := range x[i] {
		x[i][k] = rng.NormFloat64()
	}
	y := make([]float64, a.Rows)
	for k := range y {
		y[k] = math.NaN()
	}
	rule.Forward(y, x...)
	wantProduct(t, "forward", column(y), a, column(x[i]), column(b))

	m := rule.Matrix(i)
	for _, n := range []int{1, 7, 70, 133} {
		for _, add := range []bool{false, true} {
			testProducts(t, rng, m, a, n, add)
		}
		if m.InPlace() {
			testInPlace(t, rng, m, a, n)
		}
	}
	testSandwich(t, rng, m, a)
	testDiagonal(t, rng, m, a)
	testCancelled(t, m, a)
}

// testProducts checks MulTo and MulTransTo, and that the number of threads
// makes no difference to a bit of the result.
func testProducts(t *testing.T, rng *rand.Rand, m layer.Matrix, a blas64.General, n int, add bool) {
	t.Helper()
	ctx := context.Background()
	at := transpose(a)
	for _, trans := range []bool{false, true} {
		what, mul := fmt.Sprintf("A src, %d columns, add %v", n, add), m.MulTo
		src, before := guarded(rng, a.Cols, n), guarded(rng, a.Rows, n)
		if trans {
			what, mul = fmt.Sprintf("src A', %d rows, add %v", n, add), m.MulTransTo
			src, before = guarded(rng, n, a.Cols), guarded(rng, n, a.Rows)
		}
		dst, again, kept := clone(before), clone(before), clone(src)
		if err := errors.Join(mul(ctx, 1, dst, src, add), mul(ctx, 3, again, src, add)); err != nil {
			t.Fatal(err)
		}
		if !add {
			before = blas64.General{}
		}
		if trans {
			wantProduct(t, what, dst, src, at, before)
		} else {
			wantProduct(t, what, dst, a, src, before)
		}
		if !slices.Equal(dst.Data, again.Data) {
			t.Fatalf("%s: another result with 3 threads", what)
		}
		if !slices.Equal(src.Data, kept.Data) {
			t.Fatalf("%s: the source was changed", what)
		}
	}
}

// testInPlace checks MulTo and MulTransTo with dst == src.
func testInPlace(t *testing.T, rng *rand.Rand, m layer.Matrix, a blas64.General, n int) {
	t.Helper()
	ctx := context.Background()
	src := guarded(rng, a.Cols, n)
	dst := clone(src)
	if err := m.MulTo(ctx, 3, dst, dst, false); err != nil {
		t.Fatal(err)
	}
	wantProduct(t, "A src in place", dst, a, src, blas64.General{})
	src = guarded(rng, n, a.Cols)
	dst = clone(src)
	if err := m.MulTransTo(ctx, 3, dst, dst, false); err != nil {
		t.Fatal(err)
	}
	wantProduct(t, "src A' in place", dst, src, transpose(a), blas64.General{})
}

// testSandwich checks A Sigma A' for Sigma = L L'; it must be symmetric to the
// last bit.
func testSandwich(t *testing.T, rng *rand.Rand, m layer.Matrix, a blas64.General) {
	t.Helper()
	ctx := context.Background()
	l := guarded(rng, a.Cols, 3)
	sigma := guarded(rng, a.Cols, a.Cols)
	for i := range a.Cols {
		for j := range i + 1 {
			s := 0.
			for k := range 3 {
				s += get(l, i, k) * get(l, j, k)
			}
			sigma.Data[i*sigma.Stride+j], sigma.Data[j*sigma.Stride+i] = s, s
		}
	}
	half := guarded(rng, a.Rows, a.Cols)
	if err := m.MulTo(ctx, 2, half, sigma, false); err != nil {
		t.Fatal(err)
	}
	dst := guarded(rng, a.Rows, a.Rows)
	for _, threads := range []int{1, 3} {
		if err := m.SandwichTo(ctx, threads, dst, half); err != nil {
			t.Fatal(err)
		}
		checkSandwich(t, "A Sigma A'", dst, half, a)
	}
	if m.InPlace() {
		dst := clone(half)
		if err := m.SandwichTo(ctx, 3, dst, dst); err != nil {
			t.Fatal(err)
		}
		checkSandwich(t, "A Sigma A' in place", dst, half, a)
	}
}

// checkSandwich compares the lower triangle of dst, which decides, with
// half A'.
func checkSandwich(t *testing.T, what string, dst, half, a blas64.General) {
	t.Helper()
	at := transpose(a)
	for i := range dst.Rows {
		row := blas64.General{Rows: 1, Cols: i + 1, Stride: dst.Stride, Data: dst.Data[i*dst.Stride:][:i+1]}
		src := blas64.General{Rows: 1, Cols: half.Cols, Stride: half.Stride, Data: half.Data[i*half.Stride:]}
		wantProduct(t, what, row, src, view(at, at.Rows, i+1), blas64.General{})
		if v := dst.Data[i*dst.Stride+dst.Cols]; !math.IsInf(v, 1) {
			t.Fatalf("%s: the guard after row %d was overwritten with %v", what, i, v)
		}
	}
}

// testDiagonal checks MulDiagTo, SquareMulTo and KeepsDiagonal.
func testDiagonal(t *testing.T, rng *rand.Rand, m layer.Matrix, a blas64.General) {
	t.Helper()
	v := make([]float64, a.Cols)
	diag := blas64.General{Rows: a.Cols, Cols: a.Cols, Stride: a.Cols, Data: make([]float64, a.Cols*a.Cols)}
	for i := range v {
		v[i] = rng.ExpFloat64()
		diag.Data[i*a.Cols+i] = v[i]
	}
	dst := guarded(rng, a.Rows, a.Cols)
	m.MulDiagTo(dst, v)
	wantProduct(t, "A diag(v)", dst, a, diag, blas64.General{})

	squares, overlap := clone(a), false
	for j := range a.Cols {
		rows := 0
		for i := range a.Rows {
			x := get(a, i, j)
			squares.Data[i*a.Stride+j] = x * x
			if x != 0 {
				rows++
			}
		}
		overlap = overlap || rows > 1
	}
	y := make([]float64, a.Rows)
	for i := range y {
		y[i] = math.NaN()
	}
	m.SquareMulTo(y, v, false)
	wantProduct(t, "(A o A) v", column(y), squares, column(v), blas64.General{})
	before := slices.Clone(y)
	m.SquareMulTo(y, v, true)
	wantProduct(t, "(A o A) v added", column(y), squares, column(v), column(before))
	if m.KeepsDiagonal() == overlap {
		t.Errorf("KeepsDiagonal is %v, but it is %v that two outputs share an input", m.KeepsDiagonal(), overlap)
	}
}

func testCancelled(t *testing.T, m layer.Matrix, a blas64.General) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rng := rand.New(rand.NewPCG(1, 1))
	src, dst := guarded(rng, a.Cols, 2), guarded(rng, a.Rows, 2)
	if err := m.MulTo(ctx, 2, dst, src, false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled product: %v", err)
	}
	src, dst = guarded(rng, 2, a.Cols), guarded(rng, 2, a.Rows)
	if err := m.MulTransTo(ctx, 1, dst, src, false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled product with the transpose: %v", err)
	}
}

// normals returns n standard normals.
func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

// zeros returns an r x c matrix.
func zeros(r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: make([]float64, r*c)}
}
