package layer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

// A geometry is that of a convolution along each of its axes.
type geometry struct {
	in, kernel, stride, dilation, before, after []int
	transposed                                  bool
}

// out returns the output's extents.
func (g geometry) out() []int {
	out := make([]int, len(g.in))
	for d, n := range g.in {
		reach := g.dilation[d]*(g.kernel[d]-1) + 1
		if g.transposed {
			out[d] = (n-1)*g.stride[d] + reach - g.before[d] - g.after[d]
		} else {
			out[d] = (n+g.before[d]+g.after[d]-reach)/g.stride[d] + 1
		}
	}
	return out
}

// met returns the position i with which the tap k carries to output p along
// axis d: p s + k l - before = i, or for a transposed convolution
// i s + k l - before = p.
func (g geometry) met(d, p, k int) (i int, ok bool) {
	if !g.transposed {
		i = p*g.stride[d] + k*g.dilation[d] - g.before[d]
	} else {
		i = p + g.before[d] - k*g.dilation[d]
		if i%g.stride[d] != 0 {
			return 0, false
		}
		i /= g.stride[d]
	}
	return i, i >= 0 && i < g.in[d]
}

// table returns the positions that the taps meet.
func (g geometry) table() []int {
	out := g.out()
	var at []int
	for p := range volume(out) {
		for k := range volume(g.kernel) {
			ps, ks, q := unravel(p, out), unravel(k, g.kernel), 0
			for d := range out {
				i, ok := g.met(d, ps[d], ks[d])
				if !ok {
					q = -1
					break
				}
				q = q*g.in[d] + i
			}
			at = append(at, q)
		}
	}
	return at
}

// dense returns the matrix of a convolution from the definition, input by
// input: what the value at position i of channel c adds to the outputs.
func (g geometry) dense(w []float64, batch, groups, outC, inC int) blas64.General {
	out := g.out()
	positions, outPositions, taps := volume(g.in), volume(out), volume(g.kernel)
	a := zeros(batch*outC*outPositions, batch*inC*positions)
	for col := range a.Cols {
		b, c, is := col/positions/inC, col/positions%inC, unravel(col%positions, g.in)
		for o := range outC {
			if o/(outC/groups) != c/(inC/groups) {
				continue
			}
			for k := range taps {
				ks, p, ok := unravel(k, g.kernel), 0, true
				for d, n := range out {
					to := is[d] + g.before[d] - ks[d]*g.dilation[d]
					if g.transposed {
						to = is[d]*g.stride[d] - g.before[d] + ks[d]*g.dilation[d]
					} else {
						ok = ok && to%g.stride[d] == 0
						to /= g.stride[d]
					}
					ok = ok && to >= 0 && to < n
					p = p*n + to
				}
				if ok {
					a.Data[((b*outC+o)*outPositions+p)*a.Stride+col] += w[(o*(inC/groups)+c%(inC/groups))*taps+k]
				}
			}
		}
	}
	return a
}

func volume(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// unravel returns the indices of element i of a tensor.
func unravel(i int, shape []int) []int {
	at := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		at[d] = i % shape[d]
		i /= shape[d]
	}
	return at
}

// same is a convolution of stride 1 that keeps the extents.
func same(in ...int) geometry {
	ones := func() (x []int) {
		for range in {
			x = append(x, 1)
		}
		return x
	}
	g := geometry{in: in, stride: ones(), dilation: ones(), before: ones(), after: ones()}
	for range in {
		g.kernel = append(g.kernel, 3)
	}
	return g
}

// TestConv compares convolutions with dense matrices.
func TestConv(t *testing.T) { eachISA(t, testConv) }

func testConv(t *testing.T) {
	for name, c := range map[string]struct {
		geometry
		batch, groups, outC, inC int
	}{
		"one":               {geometry{[]int{1}, []int{1}, []int{1}, []int{1}, []int{0}, []int{0}, false}, 1, 1, 1, 1},
		"one, padded":       {geometry{[]int{1}, []int{1}, []int{1}, []int{1}, []int{1}, []int{2}, false}, 1, 1, 2, 1},
		"1-D":               {geometry{[]int{9}, []int{3}, []int{2}, []int{1}, []int{1}, []int{2}, false}, 2, 1, 4, 3},
		"1-D dilated":       {geometry{[]int{11}, []int{3}, []int{1}, []int{3}, []int{2}, []int{0}, false}, 1, 1, 5, 2},
		"1-D, many taps":    {geometry{[]int{300}, []int{270}, []int{7}, []int{1}, []int{3}, []int{3}, false}, 1, 1, 3, 2},
		"2-D same":          {same(5, 4), 2, 1, 3, 3},
		"2-D, wide":         {same(3, 70), 1, 1, 3, 2},
		"2-D grouped":       {geometry{[]int{5, 6}, []int{2, 3}, []int{2, 1}, []int{1, 2}, []int{0, 2}, []int{1, 1}, false}, 2, 2, 8, 6},
		"2-D in place":      {same(4, 4), 2, 3, 9, 9},
		"depthwise":         {same(4, 5), 1, 4, 4, 4},
		"depthwise doubled": {geometry{[]int{4, 5}, []int{3, 2}, []int{1, 2}, []int{1, 1}, []int{1, 0}, []int{1, 0}, false}, 1, 3, 6, 3},
		"to fewer channels": {same(3, 3), 1, 1, 2, 7},
		"in place, strided": {geometry{[]int{4, 4}, []int{2, 2}, []int{2, 2}, []int{1, 1}, []int{0, 0}, []int{0, 0}, false}, 2, 1, 8, 2},
		"patches":           {geometry{[]int{4, 6}, []int{2, 3}, []int{2, 3}, []int{1, 1}, []int{0, 0}, []int{0, 0}, false}, 2, 2, 2, 4},
		"patches, mixed":    {geometry{[]int{4, 6}, []int{2, 3}, []int{2, 3}, []int{1, 1}, []int{0, 0}, []int{0, 0}, false}, 1, 1, 2, 2},
		"pointwise":         {geometry{[]int{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}, []int{0, 0}, []int{0, 0}, false}, 2, 1, 4, 4},
		"many channels":     {geometry{[]int{2, 3}, []int{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}, []int{1, 1}, false}, 1, 1, 70, 40},
		"3-D":               {geometry{[]int{3, 4, 3}, []int{2, 3, 2}, []int{1, 2, 1}, []int{2, 1, 1}, []int{1, 1, 0}, []int{0, 1, 1}, false}, 1, 1, 3, 2},
		"all padding":       {geometry{[]int{2}, []int{2}, []int{3}, []int{1}, []int{3}, []int{3}, false}, 1, 1, 3, 2},
		"1-D transposed":    {geometry{[]int{4}, []int{3}, []int{2}, []int{1}, []int{1}, []int{0}, true}, 2, 1, 3, 2},
		"2-D transposed":    {geometry{[]int{3, 4}, []int{3, 2}, []int{2, 3}, []int{2, 1}, []int{1, 0}, []int{2, 1}, true}, 1, 2, 6, 4},
		"upsampling":        {geometry{[]int{3, 2}, []int{2, 2}, []int{2, 2}, []int{1, 1}, []int{0, 0}, []int{0, 0}, true}, 1, 4, 4, 8},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(c.outC), uint64(c.inC)))
			taps, outPositions := volume(c.kernel), volume(c.out())
			w, bias := normals(rng, c.outC*c.inC/c.groups*taps), normals(rng, c.outC)
			a := c.dense(w, c.batch, c.groups, c.outC, c.inC)
			if len(a.Data) > 5000 && cpu.Current() != cpu.Best() {
				t.Skip("large cases run on one instruction set")
			}
			shift := make([]float64, a.Rows)
			if c.batch == 1 {
				bias = nil
			} else {
				for i := range shift {
					shift[i] = bias[i/outPositions%c.outC]
				}
			}
			rule, err := layer.NewConv(w, bias, c.table(), c.batch, c.groups, c.outC, c.inC, volume(c.in), taps)
			if err != nil {
				t.Fatal(err)
			}
			if rule.InPlace() != (a.Rows == a.Cols) {
				t.Errorf("in place: %v for %d -> %d", rule.InPlace(), a.Cols, a.Rows)
			}
			testLinear(t, rule, 0, a, shift)
		})
	}
}

// TestConvRepeats: padding by reflection or of the edge makes taps of one
// output meet the same position. The weights are positive, so that their sums,
// the entries of A, are good to the last digits.
func TestConvRepeats(t *testing.T) {
	const batch, outC, inC, positions, taps = 2, 3, 2, 4, 3
	at := []int{0, 0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 3, 3, 3, 3, -1, 2, -1}
	rng := rand.New(rand.NewPCG(7, 7))
	w, outPositions := normals(rng, outC*inC*taps), len(at)/taps
	for i, x := range w {
		w[i] = math.Abs(x)
	}
	a := zeros(batch*outC*outPositions, batch*inC*positions)
	for b := range batch {
		for o := range outC {
			for c := range inC {
				for i, q := range at {
					if q >= 0 {
						a.Data[((b*outC+o)*outPositions+i/taps)*a.Stride+(b*inC+c)*positions+q] += w[(o*inC+c)*taps+i%taps]
					}
				}
			}
		}
	}
	rule, err := layer.NewConv(w, nil, at, batch, 1, outC, inC, positions, taps)
	if err != nil {
		t.Fatal(err)
	}
	testLinear(t, rule, 0, a, make([]float64, a.Rows))
}

// TestConvMemory: in place, a convolution of both indices of a covariance
// takes a small part of the memory of another one.
func TestConvMemory(t *testing.T) {
	g := same(24, 32)
	rng := rand.New(rand.NewPCG(1, 2))
	rule, err := layer.NewConv(normals(rng, 2*2*9), nil, g.table(), 1, 1, 2, 2, volume(g.in), 9)
	if err != nil {
		t.Fatal(err)
	}
	n := rule.OutputLen()
	m := zeros(n, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := errors.Join(rule.MulTo(context.Background(), 2, m, m, false), rule.SandwichTo(context.Background(), 2, m, m)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took, all := after.TotalAlloc-before.TotalAlloc, uint64(8*n*n); took > all/3 {
		t.Errorf("%d bytes for a covariance of %d", took, all)
	}
}

func TestConvLayer(t *testing.T) {
	for name, c := range map[string]struct {
		geometry
		groups, outC, inC int
	}{
		"full":      {same(3, 3), 1, 2, 2},
		"depthwise": {same(2, 3), 3, 3, 3},
		"strided":   {geometry{[]int{7}, []int{3}, []int{2}, []int{1}, []int{1}, []int{1}, false}, 1, 3, 2},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, 6))
			taps := volume(c.kernel)
			rule, err := layer.NewConv(normals(rng, c.outC*c.inC/c.groups*taps), normals(rng, c.outC), c.table(), 1, c.groups, c.outC, c.inC, volume(c.in), taps)
			if err != nil {
				t.Fatal(err)
			}
			optest.TestLayer(t, rule, optest.LayerOptions{})
		})
	}
}

func TestConvRefuses(t *testing.T) {
	w, at := make([]float64, 8), []int{0, 1, 2, 3}
	for name, build := range map[string]func() (*layer.Conv, error){
		"no batch":  func() (*layer.Conv, error) { return layer.NewConv(w, nil, at, 0, 1, 2, 2, 4, 2) },
		"no groups": func() (*layer.Conv, error) { return layer.NewConv(w, nil, at, 1, 0, 2, 2, 4, 2) },
		"no taps":   func() (*layer.Conv, error) { return layer.NewConv(nil, nil, at, 1, 1, 2, 2, 4, 0) },
		"no output": func() (*layer.Conv, error) { return layer.NewConv(w, nil, nil, 1, 1, 2, 2, 4, 2) },
		"groups not dividing": func() (*layer.Conv, error) {
			return layer.NewConv(make([]float64, 12), nil, at, 1, 2, 3, 4, 4, 2)
		},
		"too few weights":    func() (*layer.Conv, error) { return layer.NewConv(w[1:], nil, at, 1, 1, 2, 2, 4, 2) },
		"bias":               func() (*layer.Conv, error) { return layer.NewConv(w, w[:3], at, 1, 1, 2, 2, 4, 2) },
		"table":              func() (*layer.Conv, error) { return layer.NewConv(w, nil, at[:3], 1, 1, 2, 2, 4, 2) },
		"position past end":  func() (*layer.Conv, error) { return layer.NewConv(w, nil, at, 1, 1, 2, 2, 3, 2) },
		"position before -1": func() (*layer.Conv, error) { return layer.NewConv(w, nil, []int{0, -2}, 1, 1, 2, 2, 3, 2) },
		"NaN weight": func() (*layer.Conv, error) {
			return layer.NewConv([]float64{1, math.NaN()}, nil, at, 1, 1, 1, 1, 4, 2)
		},
		"infinite bias": func() (*layer.Conv, error) {
			return layer.NewConv([]float64{1, 1}, []float64{math.Inf(1)}, at, 1, 1, 1, 1, 4, 2)
		},
	} {
		if rule, err := build(); err == nil || rule != nil {
			t.Errorf("%s: %v, %v", name, rule, err)
		}
	}
}

// BenchmarkConv reports GFLOP/s of both sides of A Sigma A' (the
// sandwich computes a good half of it), and of a plain product of the same
// depth.
func BenchmarkConv(b *testing.B) {
	ctx := context.Background()
	for _, c := range []struct {
		name                   string
		groups, channels, side int
	}{{"full", 1, 10, 20}, {"full", 1, 8, 16}, {"full", 1, 64, 8}, {"full", 1, 3, 24}, {"depthwise", 8, 8, 16}, {"depthwise", 64, 64, 8}} {
		g := same(c.side, c.side)
		n := c.channels * volume(g.in)
		rng := rand.New(rand.NewPCG(5, 6))
		depth := c.channels / c.groups * 9
		rule, err := layer.NewConv(normals(rng, c.channels*depth), nil, g.table(), 1, c.groups, c.channels, c.channels, volume(g.in), 9)
		if err != nil {
			b.Fatal(err)
		}
		src, dst := zeros(n, n), zeros(n, n)
		copy(src.Data, normals(rng, n*n))
		for _, op := range []struct {
			name string
			run  func() error
		}{
			{"A src", func() error { return rule.MulTo(ctx, 1, dst, src, false) }},
			{"src A'", func() error { return rule.MulTransTo(ctx, 1, dst, src, false) }},
			{"sandwich", func() error { return rule.SandwichTo(ctx, 1, dst, src) }},
		} {
			b.Run(fmt.Sprintf("%s/channels=%d/side=%d/%s", c.name, c.channels, c.side, op.name), func(b *testing.B) {
				for b.Loop() {
					if err := op.run(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(2*float64(n)*float64(n)*float64(depth)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
	b.Run("product", func(b *testing.B) {
		rng := rand.New(rand.NewPCG(5, 6))
		const n = 1024
		x, y, z := guarded(rng, n, n), guarded(rng, n, n), guarded(rng, n, n)
		for b.Loop() {
			if err := kernel.MulTo(ctx, 1, z, x, y, false); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(2*n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	})
}

// BenchmarkConvForward is the largest layer of VGG: 64 to 64 channels of
// 224 x 224, 3.7 GFLOP.
func BenchmarkConvForward(b *testing.B) {
	g := same(224, 224)
	rng := rand.New(rand.NewPCG(5, 6))
	rule, err := layer.NewConv(normals(rng, 64*64*9), nil, g.table(), 1, 1, 64, 64, volume(g.in), 9)
	if err != nil {
		b.Fatal(err)
	}
	x, y := normals(rng, 64*volume(g.in)), make([]float64, 64*volume(g.in))
	for b.Loop() {
		rule.Forward(y, x)
	}
}
