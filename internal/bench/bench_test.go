package bench

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop/internal/cpu"
)

// TestRun makes a quick run on every instruction set: all results are there
// once, positive and finite, and the steps are counted to the end.
func TestRun(t *testing.T) {
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			done, total := 0, 0
			r, err := Run(context.Background(), Options{Quick: true, Progress: func(d, n int) {
				if d != done+1 || total != 0 && n != total {
					t.Errorf("step %d of %d comes after step %d of %d", d, n, done, total)
				}
				done, total = d, n
			}})
			if err != nil {
				t.Fatal(err)
			}
			if done == 0 || done != total {
				t.Errorf("the last step is %d of %d", done, total)
			}
			seen := map[string]bool{}
			for _, x := range r.Results {
				if seen[x.Name] {
					t.Errorf("%s is there twice", x.Name)
				}
				seen[x.Name] = true
				if !(x.Value > 0) || math.IsInf(x.Value, 1) || x.Unit == "" {
					t.Errorf("%s is %v %s", x.Name, x.Value, x.Unit)
				}
			}
		})
	}
}

// TestInterrupt cancels at the first step, and before.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range 2 {
		if _, err := Run(ctx, Options{Quick: true, Progress: func(int, int) { cancel() }}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

// TestModel: the network that is built in is that of the repository's tests.
func TestModel(t *testing.T) {
	for have, want := range map[string]string{
		"acasxu/acasxu_1_1.onnx": "../../testdata/models/acasxu_1_1.onnx",
		"acasxu/COPYING.txt":     "../../testdata/models/licenses/Marabou-COPYING.txt",
	} {
		a, err := os.ReadFile(have)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s is not %s", have, want)
		}
	}
}

// TestPeakLoops: a loop returns how many multiply-adds it makes, which follows
// from its vectors: 24 of 512 bits, 12 of 256, or 8 numbers a turn.
func TestPeakLoops(t *testing.T) {
	vectors := map[cpu.ISA]int{cpu.Generic: 8, cpu.AVX2: 12 * 32, cpu.AVX512: 24 * 64}
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		restore := cpu.Force(isa)
		for _, l := range []struct {
			loop peakLoop
			size int
		}{{peak64, 8}, {peak32, 4}} {
			want := 3 * vectors[isa]
			if isa != cpu.Generic {
				want /= l.size
			}
			if got := l.loop(3); got != want {
				t.Errorf("%v, %d bytes: 3 turns are %d multiply-adds, want %d", isa, l.size, got, want)
			}
		}
		restore()
	}
}

// TestSampler passes samples through the network one by one, in plain loops:
// the random numbers are the same, so the outputs agree to rounding.
func TestSampler(t *testing.T) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(8, 8))
	maps := randomDense(rng, 5, 7, 3, 2)
	in, err := randomInput(ctx, rng, 5)
	if err != nil {
		t.Fatal(err)
	}
	mc, err := newSampler(maps, in, 9)
	if err != nil {
		t.Fatal(err)
	}
	const n = batchSamples + 3
	got := make([]float64, n*2)
	if err := mc.outputs(ctx, got); err != nil {
		t.Fatal(err)
	}
	var c mat.Cholesky
	c.Factorize(in.Cov)
	var root mat.TriDense
	c.LTo(&root)
	z := rand.New(rand.NewPCG(9, 6))
	for k := range n {
		draw := make([]float64, 5)
		for i := range draw {
			draw[i] = z.NormFloat64()
		}
		x := make([]float64, 5)
		for i := range x {
			x[i] = in.Mean[i]
			for j := range i + 1 {
				x[i] += root.At(i, j) * draw[j]
			}
		}
		for l, d := range maps {
			y := make([]float64, d.w.Rows)
			for i := range y {
				y[i] = d.b[i]
				for j := range x {
					y[i] += d.w.Data[i*d.w.Stride+j] * x[j]
				}
				if l < len(maps)-1 {
					y[i] = max(y[i], 0)
				}
			}
			x = y
		}
		for i, want := range x {
			// A few dozen roundings of terms of order 1.
			if math.Abs(got[2*k+i]-want) > 1e-13 {
				t.Fatalf("sample %d, output %d is %v, want %v", k, i, got[2*k+i], want)
			}
		}
	}
}

// TestStandardError compares the formula for the error of a sample's standard
// deviation with samples of two distributions of known kurtosis: the normal, 3,
// and the exponential, 9.
func TestStandardError(t *testing.T) {
	const n, repeats = 400, 4000
	rng := rand.New(rand.NewPCG(10, 10))
	for _, c := range []struct {
		kurtosis float64
		draw     func() float64
	}{{3, rng.NormFloat64}, {9, rng.ExpFloat64}} { // both have variance 1
		y, sum := make([]float64, n), 0.
		for range repeats {
			for i := range y {
				y[i] = c.draw()
			}
			_, v, _ := moments(y)
			d := math.Sqrt(v) - 1
			sum += d * d / repeats
		}
		// The mean of 4000 squares is good to about sqrt(2/4000) = 2%; the
		// exponential's have heavier tails, and the formula leaves out terms of
		// order kurtosis^2/n.
		if r := sum / standardError(c.kurtosis, n); math.Abs(r-1) > .15 {
			t.Errorf("kurtosis %v: the mean square error is %v times what it should be", c.kurtosis, r)
		}
	}
}

// TestNeighbours: on a 3 x 3 image the taps in the middle meet all pixels in
// order, and those in the corner meet the padding above and to the left.
func TestNeighbours(t *testing.T) {
	at := neighbours(3)
	for k, got := range at[4*convTaps:][:convTaps] {
		if got != k {
			t.Errorf("tap %d of the middle meets %d", k, got)
		}
	}
	for k, want := range []int{-1, -1, -1, -1, 0, 1, -1, 3, 4} {
		if at[k] != want {
			t.Errorf("tap %d of the corner meets %d, want %d", k, at[k], want)
		}
	}
}
