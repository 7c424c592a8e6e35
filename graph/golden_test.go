package graph_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// byName has the activations of the golden file.
func byName() map[string]activation.Activation {
	m := make(map[string]activation.Activation)
	for _, a := range []activation.Activation{
		activation.Identity(), activation.Step(), activation.Sign(), activation.ReLU(), activation.LeakyReLU(.01),
		activation.LeakyReLU(.2), activation.ThresholdedReLU(1), activation.Abs(), activation.Clip(-1, 1),
		activation.ReLU6(), activation.HardSigmoid(.2, .5), activation.HardSwish(), activation.GELU(),
		activation.GELUTanh(), activation.QuickGELU(1.702), activation.Erf(), activation.NormalCDF(),
		activation.Sigmoid(), activation.Tanh(), activation.Softplus(), activation.SiLU(), activation.Mish(),
		activation.ELU(1), activation.CELU(2), activation.SELU(1.6732632423543772, 1.0507009873554805),
		activation.Softsign(), activation.Sin(), activation.Cos(), activation.Exp(), activation.Square(),
		activation.Cube(), activation.Arctan(),
	} {
		m[a.Name()] = a
	}
	return m
}

// TestGolden propagates every row of the golden file, two activations on a
// correlated pair, through a network. The reference is good to 1e-14 of the
// natural scale: for a mean the larger of its size and the standard deviation,
// for a variance itself, for a covariance the product of the two standard
// deviations. At the default tolerance every figure must be right to 1e-9, at
// the tolerance 1e-13 to 1e-11.
func TestGolden(t *testing.T) {
	file, err := os.Open("../testdata/golden/activation_pairs.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if rows = rows[1:]; len(rows) != 919 {
		t.Fatalf("%d rows, want 919", len(rows))
	}
	acts := byName()
	for _, c := range []struct{ tol, want float64 }{{0, 1e-9}, {1e-13, 1e-11}} {
		t.Run(fmt.Sprintf("tol=%g", c.tol), func(t *testing.T) {
			worst := 0.
			for i, row := range rows {
				f, g := acts[row[0]], acts[row[1]]
				if f == nil || g == nil {
					t.Fatalf("row %d: %s or %s is not an activation", i+2, row[0], row[1])
				}
				var x [10]float64 // mu1,sigma1,mu2,sigma2,rho,mean_f,var_f,mean_g,var_g,cov
				for k := range x {
					if x[k], err = strconv.ParseFloat(row[2+k], 64); err != nil {
						t.Fatal(err)
					}
				}
				b := builder{graph.NewBuilder()}
				y := b.add("y", must(layer.NewElementwise([]activation.Activation{f, g}, 2)), b.input(2))
				net := b.build(y).With(graph.Options{Tol: c.tol})
				cov := x[4] * x[1] * x[3]
				in := must(covprop.NewGaussian([]float64{x[0], x[2]}, must(covprop.NewDense(2, []float64{x[1] * x[1], cov, cov, x[3] * x[3]}))))
				res, err := net.Propagate(context.Background(), in)
				if err != nil {
					t.Fatalf("row %d (%s, %s): %v", i+2, row[0], row[1], err)
				}
				sd1, sd2 := math.Sqrt(x[6]), math.Sqrt(x[8])
				for k, e := range []struct {
					what             string
					got, want, scale float64
				}{
					{"mean of f", res.Mean[0], x[5], max(math.Abs(x[5]), sd1)},
					{"variance of f", res.Cov.At(0, 0), x[6], x[6]},
					{"mean of g", res.Mean[1], x[7], max(math.Abs(x[7]), sd2)},
					{"variance of g", res.Cov.At(1, 1), x[8], x[8]},
					{"covariance", res.Cov.At(0, 1), x[9], sd1 * sd2},
				} {
					d := math.Abs(e.got-e.want) / e.scale
					if k == 4 || c.tol > 0 {
						worst = max(worst, d)
					}
					if !(d <= c.want) {
						t.Errorf("row %d (%s, %s), %s: got %v, want %v, off by %.2g", i+2, row[0], row[1], e.what, e.got, e.want, d)
					}
				}
			}
			t.Logf("worst error %.2g", worst)
		})
	}
}
