package vec

import (
	"crypto/sha256"
	"encoding/csv"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/covprop/covprop/internal/cpu"
)

// A function under test, its reference, and the arguments between which it is
// neither constant nor beyond float64. The limit is what the package promises,
// in ulp.
type function struct {
	name      string
	to        func(dst, x []float64)
	reference func(*big.Float) *big.Float
	low, high float64
	limit     float64
}

var functions = []function{
	{"exp", ExpTo, bigExp, -746, 709.78, 4},
	{"erf", ErfTo, bigErf, -6, 6, 8},
	{"erfc", ErfcTo, bigErfc, -6, 27.3, 8},
	{"cdf", CDFTo, bigCDF, -38.6, 8.5, 8},
	{"density", DensityTo, bigDensity, -38.7, 38.7, 4},
}

// denormalLimit is the promise for results below the smallest normal number,
// in units of the denormal ones: these are at most half as precise, and the
// last rounding comes after the error.
func (f function) denormalLimit() float64 { return f.limit/2 + .5 }

// onEach runs body once for every function and instruction set.
func onEach(t *testing.T, body func(t *testing.T, f function)) {
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		for _, f := range functions {
			t.Run(isa.String()+"/"+f.name, func(t *testing.T) {
				defer cpu.Force(isa)()
				body(t, f)
			})
		}
	}
}

// judge compares f at every x with want and logs the largest errors.
func judge(t *testing.T, f function, x []float64, want []*big.Float) {
	t.Helper()
	got := make([]float64, len(x))
	f.to(got, x)
	var worst, at, worstDenormal, atDenormal float64
	for i, v := range got {
		e := errorIn(v, want[i])
		w, _ := want[i].Float64()
		switch {
		case math.Abs(w) < smallest:
			if e > worstDenormal {
				worstDenormal, atDenormal = e, x[i]
			}
		case e > worst:
			worst, at = e, x[i]
		}
	}
	t.Logf("largest error %.3g ulp at %v; denormal %.3g units at %v", worst, at, worstDenormal, atDenormal)
	if worst > f.limit || worstDenormal > f.denormalLimit() {
		t.Errorf("the limits are %v ulp and %v units", f.limit, f.denormalLimit())
	}
}

// TestValues compares with values recorded from mpmath.
func TestValues(t *testing.T) {
	data, err := os.ReadFile("testdata/values.csv")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("testdata/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%x  values.csv\n", sha256.Sum256(data)); s != string(sum) {
		t.Fatalf("values.csv has changed: %s", s)
	}
	rows, err := csv.NewReader(strings.NewReader(string(data))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	onEach(t, func(t *testing.T, f function) {
		var x []float64
		var want []*big.Float
		for _, r := range rows[1:] {
			if r[0] != f.name {
				continue
			}
			v, err := strconv.ParseFloat(r[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			x, want = append(x, v), append(want, constant(r[2]))
		}
		if len(x) < 150 {
			t.Fatalf("%d values", len(x))
		}
		judge(t, f, x, want)
	})
}

// sweep returns arguments all over the range of f: even, near every cut of the
// kernels' intervals, of all magnitudes, and at random.
func sweep(f function, n int) []float64 {
	rng := rand.New(rand.NewPCG(1, uint64(len(f.name))))
	var x []float64
	for i := range n {
		x = append(x, f.low+(f.high-f.low)*(float64(i)+rng.Float64())/float64(n))
		x = append(x, rng.NormFloat64(), math.Ldexp(rng.Float64()*2-1, -rng.IntN(80)))
	}
	for k := -64.0; k <= 64; k++ {
		for _, step := range []float64{.25, 1, math.Ln2 / 32, math.Ln2 / 2, math.Sqrt2 / 2} {
			v := k * step
			x = append(x, v, math.Nextafter(v, -50), math.Nextafter(v, 50))
		}
	}
	inside := x[:0]
	for _, v := range x {
		if f.low <= v && v <= f.high {
			inside = append(inside, v)
		}
	}
	return inside
}

// TestSweep compares with the reference at many arguments.
func TestSweep(t *testing.T) {
	type points struct {
		x    []float64
		want []*big.Float
	}
	cache := map[string]points{}
	onEach(t, func(t *testing.T, f function) {
		p, ok := cache[f.name]
		if !ok {
			p.x = sweep(f, 1000)
			for _, v := range p.x {
				p.want = append(p.want, f.reference(number(v)))
			}
			cache[f.name] = p
		}
		judge(t, f, p.x, p.want)
	})
}
