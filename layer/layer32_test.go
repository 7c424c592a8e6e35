package layer_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/layer"
)

// narrow returns a in float32 and replaces its entries by those, exactly.
func narrow(a blas64.General) blas32.General {
	b := blas32.General{Rows: a.Rows, Cols: a.Cols, Stride: a.Stride, Data: make([]float32, len(a.Data))}
	for i, v := range a.Data {
		b.Data[i] = float32(v)
		a.Data[i] = float64(b.Data[i])
	}
	return b
}

// wantNear32 checks got = a b + c entry by entry; c may be empty. units32 is
// the allowed error in units of float32 (2^-24) of the sum of the magnitudes
// of the terms; the rounding of the reference in float64 is far below one.
func wantNear32(t *testing.T, what string, got blas32.General, a, b, c blas64.General, units32 float64) {
	t.Helper()
	for i := range got.Rows {
		for j := range got.Stride {
			v := float64(math.Inf(1))
			if k := i*got.Stride + j; k < len(got.Data) {
				v = float64(got.Data[k])
			}
			if j >= got.Cols {
				if !math.IsInf(v, 1) {
					t.Fatalf("%s: the guard after row %d was overwritten with %v", what, i, v)
				}
				continue
			}
			want, size := 0., 0.
			if c.Rows > 0 {
				want = get(c, i, j)
				size = math.Abs(want)
			}
			for k := range a.Cols {
				p := get(a, i, k) * get(b, k, j)
				want += p
				size += math.Abs(p)
			}
			if !(math.Abs(v-want) <= units32*0x1p-24*size) {
				t.Fatalf("%s: entry (%d,%d) is %v, want %v, terms %v", what, i, j, v, want, size)
			}
		}
	}
}

// testMatrix32 compares the float32 forms of m with the dense matrix a.
func testMatrix32(t *testing.T, m layer.Matrix32, inPlace bool, a blas64.General, units32 float64) {
	t.Helper()
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(uint64(a.Rows), 32))
	at := transpose(a)
	for _, n := range []int{1, 16, 37} {
		for _, add := range []bool{false, true} {
			for _, trans := range []bool{false, true} {
				wide, before := guarded(rng, a.Cols, n), guarded(rng, a.Rows, n)
				what, mul := fmt.Sprintf("A src in float32, %d columns, add %v", n, add), m.MulTo32
				if trans {
					wide, before = guarded(rng, n, a.Cols), guarded(rng, n, a.Rows)
					what, mul = fmt.Sprintf("src A' in float32, %d rows, add %v", n, add), m.MulTransTo32
				}
				src, dst := narrow(wide), narrow(before)
				again := dst
				again.Data = slices.Clone(dst.Data)
				if err := mul(ctx, 1, dst, src, add); err != nil {
					t.Fatal(err)
				}
				if err := mul(ctx, 3, again, src, add); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(dst.Data, again.Data) {
					t.Fatalf("%s: another result with 3 threads", what)
				}
				if !add {
					before = blas64.General{}
				}
				if trans {
					wantNear32(t, what, dst, wide, at, before, units32)
				} else {
					wantNear32(t, what, dst, a, wide, before, units32)
				}
				if inPlace && !add {
					if err := mul(ctx, 1, src, src, false); err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(values32(src), values32(dst)) {
						t.Fatalf("%s: another result in place", what)
					}
				}
			}
		}
	}
	testSandwich32(t, rng, m, inPlace, a, units32)
}

// values32 returns the entries of a without the guards.
func values32(a blas32.General) (v []float32) {
	for i := range a.Rows {
		v = append(v, a.Data[i*a.Stride:][:a.Cols]...)
	}
	return v
}

// testSandwich32 checks SandwichTo32 for src = A in float32, as of the
// covariance I, against A A'.
func testSandwich32(t *testing.T, rng *rand.Rand, m layer.Matrix32, inPlace bool, a blas64.General, units32 float64) {
	t.Helper()
	ctx := context.Background()
	wide := guarded(rng, a.Rows, a.Cols)
	for i := range a.Rows {
		copy(wide.Data[i*wide.Stride:], a.Data[i*a.Stride:][:a.Cols])
	}
	src, dst := narrow(wide), narrow(guarded(rng, a.Rows, a.Rows))
	for _, threads := range []int{1, 3} {
		if err := m.SandwichTo32(ctx, threads, dst, src); err != nil {
			t.Fatal(err)
		}
		// The lower triangle is computed: mirrored, the rounding of src, one
		// unit, may come in either way.
		kernel.Mirror(dst)
		wantNear32(t, "A A' in float32", dst, wide, transpose(a), blas64.General{}, units32+2)
	}
	if inPlace {
		if err := m.SandwichTo32(ctx, 1, src, src); err != nil {
			t.Fatal(err)
		}
		kernel.Mirror(src)
		if !slices.Equal(values32(src), values32(dst)) {
			t.Fatal("A A' in float32: another result in place")
		}
	}
}

// TestMatrix32: where the arithmetic is in float64 the result is rounded once,
// and once more when it is added; affine rounds its weights, every product and
// every sum.
func TestMatrix32(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 2))
		affine := func(out, in, outer, inner int) (layer.Linear, float64) {
			rule, err := layer.NewAffine(normals(rng, out*in), nil, out, in, outer, inner)
			if err != nil {
				t.Fatal(err)
			}
			return rule, float64(in + 3)
		}
		conv := func(g geometry, batch, groups, outC, inC int) (layer.Linear, float64) {
			taps := volume(g.kernel)
			rule, err := layer.NewConv(normals(rng, outC*inC/groups*taps), nil, g.table(), batch, groups, outC, inC, volume(g.in), taps)
			if err != nil {
				t.Fatal(err)
			}
			return rule, 2
		}
		scale, err := layer.NewScale(normals(rng, 23), nil, 23)
		if err != nil {
			t.Fatal(err)
		}
		choice, err := layer.NewSelect([]int{3, 0, 3, 2, 1, 4}, 5)
		if err != nil {
			t.Fatal(err)
		}
		for name, build := range map[string]func() (layer.Linear, float64){
			"affine":            func() (layer.Linear, float64) { return affine(7, 33, 1, 1) },
			"affine, repeated":  func() (layer.Linear, float64) { return affine(3, 4, 2, 5) },
			"conv":              func() (layer.Linear, float64) { return conv(same(5, 6), 1, 1, 5, 3) },
			"conv in place":     func() (layer.Linear, float64) { return conv(same(4, 5), 2, 2, 4, 4) },
			"conv, many blocks": func() (layer.Linear, float64) { return conv(same(3, 3), 1, 1, 31, 4) },
			"scale":             func() (layer.Linear, float64) { return scale, 2 },
			"select":            func() (layer.Linear, float64) { return choice, 2 },
		} {
			t.Run(name, func(t *testing.T) {
				rule, units := build()
				m := rule.Matrix(0)
				a := zeros(rule.OutputLen(), rule.Inputs()[0])
				ones := make([]float64, a.Cols)
				for i := range ones {
					ones[i] = 1
				}
				m.MulDiagTo(a, ones)
				testMatrix32(t, m.(layer.Matrix32), m.InPlace(), a, units)
			})
		}
	})
}

// eachISA runs f on every instruction set.
func eachISA(t *testing.T, f func(t *testing.T)) {
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			f(t)
		})
	}
}

// TestLinearAllocations: on one thread nothing is allocated once the scratch
// memory is there.
func TestLinearAllocations(t *testing.T) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(9, 9))
	for name, build := range map[string]func() (layer.Linear, error){
		"affine": func() (layer.Linear, error) {
			return layer.NewAffine(normals(rng, 90*90), normals(rng, 90), 90, 90, 1, 1)
		},
		"affine, repeated": func() (layer.Linear, error) { return layer.NewAffine(normals(rng, 9), nil, 3, 3, 2, 15) },
		"conv": func() (layer.Linear, error) {
			g := same(6, 5)
			return layer.NewConv(normals(rng, 9*9), normals(rng, 3), g.table(), 1, 1, 3, 3, 30, 9)
		},
		"conv, repeats": func() (layer.Linear, error) {
			return layer.NewConv(normals(rng, 12), nil, []int{0, 0, 1, 0, 1, 2, 1, 2, 3}, 1, 1, 4, 1, 12, 3)
		},
		"scale":   func() (layer.Linear, error) { return layer.NewScale(normals(rng, 90), normals(rng, 90), 90) },
		"select":  func() (layer.Linear, error) { return layer.NewSelect(rng.Perm(90), 90) },
		"reshape": func() (layer.Linear, error) { return layer.NewReshape(90) },
	} {
		t.Run(name, func(t *testing.T) {
			rule, err := build()
			if err != nil {
				t.Fatal(err)
			}
			in, out := rule.Inputs()[0], rule.OutputLen()
			m := rule.Matrix(0)
			sigma, half, res := zeros(in, in), zeros(out, in), zeros(out, out)
			sigma32, half32, res32 := narrow(sigma), narrow(half), narrow(res)
			x, y := [][]float64{make([]float64, in)}, make([]float64, out)
			m32 := m.(layer.Matrix32)
			calls := map[string]func() error{
				"MulTo":        func() error { return m.MulTo(ctx, 1, half, sigma, false) },
				"MulTransTo":   func() error { return m.MulTransTo(ctx, 1, res, half, true) },
				"SandwichTo":   func() error { return m.SandwichTo(ctx, 1, res, half) },
				"MulTo32":      func() error { return m32.MulTo32(ctx, 1, half32, sigma32, true) },
				"MulTransTo32": func() error { return m32.MulTransTo32(ctx, 1, res32, half32, false) },
				"SandwichTo32": func() error { return m32.SandwichTo32(ctx, 1, res32, half32) },
				"the others": func() error {
					rule.Forward(y, x...)
					m.MulDiagTo(half, x[0])
					m.SquareMulTo(y, x[0], true)
					_ = rule.Inputs()
					return nil
				},
			}
			for what, call := range calls {
				if n := testing.AllocsPerRun(20, func() {
					if err := call(); err != nil {
						t.Error(err)
					}
				}); n != 0 {
					t.Errorf("%s: %v allocations", what, n)
				}
			}
		})
	}
}
