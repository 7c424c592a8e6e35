package layer_test

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// A normCase is a line of norm.csv.
type normCase struct {
	name      string
	n         int
	center    bool
	epsilon   float64
	x         factor
	mean      []float64      // (n) E y
	cov, with blas64.General // (n, n) Cov(y), Cov(y, x)
}

func readNormCases(t *testing.T) (cases []normCase) {
	t.Helper()
	data, err := os.ReadFile("testdata/norm.csv")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("testdata/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); !strings.Contains(string(sums), hex.EncodeToString(sum[:])+"  norm.csv\n") {
		t.Error("norm.csv does not have the hash that SHA256SUMS gives")
	}
	r := csv.NewReader(strings.NewReader(string(data)))
	r.FieldsPerRecord = -1
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		var x []float64
		for _, cell := range line[1:] {
			v, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				t.Fatal(err)
			}
			x = append(x, v)
		}
		c := normCase{name: line[0], n: int(x[0]), center: x[2] != 0, epsilon: x[3]}
		rank := int(x[1])
		x = x[4:]
		take := func(r, k int) blas64.General {
			part := x[:r*k]
			x = x[r*k:]
			return blas64.General{Rows: r, Cols: k, Stride: k, Data: part}
		}
		c.x.mean = take(1, c.n).Data
		c.x.root = take(c.n, rank)
		c.mean = take(1, c.n).Data
		c.cov, c.with = take(c.n, c.n), take(c.n, c.n)
		cases = append(cases, c)
	}
	return cases
}

// TestNormGolden compares with 20-digit values made by plain differences in
// 90-digit arithmetic, in standard deviations. Rounding in sums of a few hundred
// nodes is below 1e-13. Where an element hardly varies, for the noise there is,
// the error may be larger, but not larger than the bound returned: as when an
// element is its whole group, or a group changes in length only.
func TestNormGolden(t *testing.T) {
	for _, c := range readNormCases(t) {
		rule, err := layer.NewNorm(1, c.n, c.epsilon, c.center)
		if err != nil {
			t.Fatal(err)
		}
		sigma := c.x.cov()
		r, err := respond(rule, cut(c.x.mean, sigma, []int{c.n}, false), false, layer.Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		least, most := math.Inf(1), 0.
		for i := range c.n {
			least, most = min(least, get(c.cov, i, i)), max(most, get(sigma, i, i))
		}
		flat := least < 1e-2*most
		limit := 1e-13
		if flat {
			limit = max(limit, r.acc.Bound)
		} else if r.acc.Bound > 1e-11 || r.acc.Status != covprop.Certified {
			t.Errorf("%s: accuracy %+v", c.name, r.acc)
		}
		for i, e := range normErrors(c, r, sigma) {
			if what := []string{"mean", "covariance", "covariance with x"}[i]; !(e <= limit) {
				t.Errorf("%s: %s off by %.2g, accuracy %+v", c.name, what, e, r.acc)
			}
		}
		if honest := r.acc.Status == covprop.Approximate; r.acc.Bound > layer.DefaultTol && !honest {
			t.Errorf("%s: accuracy %+v", c.name, r.acc)
		}
	}
}

// normErrors returns the largest errors of the mean, of Cov(y) and of Cov(y, x),
// in standard deviations of y and x; that of a mean may be relative to 1, the
// root mean square of y.
func normErrors(c normCase, r *response, sigma blas64.General) (worst [3]float64) {
	sd := func(a blas64.General, i int) float64 { return math.Sqrt(get(a, i, i)) }
	off := func(k int, got, want, scale float64) {
		if e := math.Abs(got - want); e > 0 {
			worst[k] = max(worst[k], e/scale)
		}
	}
	for i := range c.n {
		off(0, r.Mean[i], c.mean[i], max(sd(c.cov, i), 1))
		for j := range c.n {
			off(1, get(r.Cov, i, j), get(c.cov, i, j), sd(c.cov, i)*sd(c.cov, j))
			got := 0.
			for k := range c.n {
				got += get(r.gain, i, k) * get(sigma, k, j)
			}
			off(2, got, get(c.with, i, j), sd(c.cov, i)*sd(sigma, j))
		}
	}
	return worst
}
