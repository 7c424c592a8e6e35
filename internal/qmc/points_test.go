package qmc

import (
	"encoding/csv"
	"math"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
)

var kinds = []Kind{Random, Sobol, Halton}

func newGeneral(r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: max(1, c), Data: make([]float64, r*c)}
}

func row(a blas64.General, i int) []float64 { return a.Data[i*a.Stride : i*a.Stride+a.Cols] }

func newPoints(t testing.TB, kind Kind, dim int, seed uint64, replicate int) *Points {
	t.Helper()
	p, err := New(kind, dim, seed, replicate)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func uniform(t testing.TB, kind Kind, dim, n int, seed uint64, replicate int) blas64.General {
	t.Helper()
	u := newGeneral(dim, n)
	newPoints(t, kind, dim, seed, replicate).UniformTo(u, 0)
	return u
}

// readCSV calls use with every line of a file of testdata, made by
// generate.py.
func readCSV(t *testing.T, file string, use func(fields []string)) {
	t.Helper()
	f, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil || len(lines) < 10 {
		t.Fatalf("%s has %d lines, %v", file, len(lines), err)
	}
	for _, l := range lines {
		use(l)
	}
}

func parse(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Without scrambles (the identity) the points are scipy's, whose are those of
// the published program.
func TestSobolPoints(t *testing.T) {
	axes := newSobol(MaxSobol, philox{})
	dims := []int(nil)
	readCSV(t, "sobol.csv", func(fields []string) {
		if dims == nil {
			for _, f := range fields[1:] {
				dims = append(dims, int(parse(t, f)))
			}
			return
		}
		for k, f := range fields[1:] {
			a := axes[dims[k]]
			a.scramble = scramble{mul: 1}
			u := make([]float64, 1)
			a.uniformTo(u, uint64(parse(t, fields[0])))
			if got, want := u[0]-0x1p-53, parse(t, f); got != want {
				t.Errorf("point %s, dimension %d is %v, want %v", fields[0], dims[k], got, want)
			}
		}
	})
	// All of the table is used, and no less; digit j of v_j is its last one.
	for k, a := range axes {
		for j, v := range a.v {
			if bits.Len64(v) != j+1 {
				t.Fatalf("dimension %d: direction number %d has %d digits", k, j+1, bits.Len64(v))
			}
		}
	}
	words := 0
	for k := 1; k < MaxSobol; k++ {
		words += 1 + bits.Len16(uint16(directions[2*words])|uint16(directions[2*words+1])<<8)
	}
	if 2*words != len(directions) {
		t.Errorf("the table has %d bytes, of which %d are used", len(directions), 2*words)
	}
}

func TestPhilox(t *testing.T) {
	readCSV(t, "philox.csv", func(fields []string) {
		w := make([]uint64, len(fields))
		for i, f := range fields {
			var err error
			if w[i], err = strconv.ParseUint(f, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		got := philox{w[0], w[1]}.block([4]uint64(w[2:6]))
		if got != [4]uint64(w[6:]) {
			t.Errorf("key %v, counter %v: %v, want %v", w[:2], w[2:6], got, w[6:])
		}
	})
}

// Any part of a set can be had on its own, into rows with gaps that stay as
// they are; the zero-dimensional set is legal.
func TestRandomAccess(t *testing.T) {
	const dim, n = 300, 1100
	for _, kind := range kinds {
		p := newPoints(t, kind, dim, 3, 2)
		all := newGeneral(dim, n)
		p.UniformTo(all, 0)
		for _, r := range [][2]int{{0, 1}, {1, 2}, {3, 20}, {255, 258}, {510, 1100}, {1099, 1100}, {7, 7}} {
			part := newGeneral(dim, r[1]-r[0])
			part.Stride = part.Cols + 3
			part.Data = make([]float64, dim*part.Stride)
			p.UniformTo(part, r[0])
			for k := range dim {
				if !slices.Equal(row(part, k), row(all, k)[r[0]:r[1]]) {
					t.Fatalf("%v: points %v of dimension %d differ", kind, r, k)
				}
				if gap := part.Data[k*part.Stride+part.Cols : (k+1)*part.Stride]; !slices.Equal(gap, []float64{0, 0, 0}) {
					t.Fatalf("%v: wrote %v into the gap of row %d", kind, gap, k)
				}
			}
		}
		last := newGeneral(dim, 2)
		p.UniformTo(last, maxIndex-2)
		if !inside(last.Data) {
			t.Errorf("%v: the last points are not in (0,1)", kind)
		}
		newPoints(t, kind, 0, 1, 0).NormalTo(newGeneral(0, 5), 0)
		z := newGeneral(dim, 100)
		if a := testing.AllocsPerRun(3, func() { p.NormalTo(z, 50) }); a != 0 {
			t.Errorf("%v: %v allocations", kind, a)
		}
	}
}

func inside(u []float64) bool {
	for _, v := range u {
		if !(v > 0 && v < 1) || v*0x1p53 != math.Trunc(v*0x1p53) {
			return false
		}
	}
	return true
}

// A set depends on every part of its key, in every dimension.
func TestKeys(t *testing.T) {
	for _, kind := range kinds {
		const dim, n = 300, 64
		a := uniform(t, kind, dim, n, 1, 0)
		if !inside(a.Data) {
			t.Errorf("%v: points outside (0,1)", kind)
		}
		for _, other := range []blas64.General{uniform(t, kind, dim, n, 2, 0), uniform(t, kind, dim, n, 1, 1), uniform(t, kind, dim, n, 0, 1)} {
			for k := range dim {
				if slices.Equal(row(a, k), row(other, k)) {
					t.Errorf("%v: dimension %d does not depend on the key", kind, k)
				}
			}
		}
		if again := uniform(t, kind, dim, n, 1, 0); !slices.Equal(a.Data, again.Data) {
			t.Errorf("%v: not reproducible", kind)
		}
		// More dimensions leave the first as they are.
		if more := uniform(t, kind, dim+1, n, 1, 0); !slices.Equal(a.Data, more.Data[:len(a.Data)]) {
			t.Errorf("%v: another dimension changes the first", kind)
		}
	}
}

func TestMisuse(t *testing.T) {
	for _, f := range []func() (*Points, error){
		func() (*Points, error) { return New(Sobol, -1, 1, 0) },
		func() (*Points, error) { return New(Halton, 1, 1, -1) },
		func() (*Points, error) { return New(Kind(7), 1, 1, 0) },
	} {
		if _, err := f(); err == nil {
			t.Error("no error")
		}
	}
	p := newPoints(t, Sobol, 2, 1, 0)
	for name, f := range map[string]func(){
		badShape: func() { p.UniformTo(newGeneral(3, 1), 0) },
		badIndex: func() { p.NormalTo(newGeneral(2, 2), maxIndex-1) },
	} {
		func() {
			defer func() {
				if r := recover(); r != name {
					t.Errorf("the panic is %v, want %q", r, name)
				}
			}()
			f()
		}()
	}
	for _, k := range kinds {
		if got, err := Parse(k.String()); err != nil || got != k {
			t.Errorf("%v is parsed as %v, %v", k, got, err)
		}
	}
	if _, err := Parse("sobel"); err == nil {
		t.Error("an unknown name: no error")
	}
}
