package optest

import (
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// must returns the first of its arguments and panics if the second is an
// error.
func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

func TestLayersConform(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	relu, tanh := activation.ReLU(), activation.Tanh()
	for name, rule := range map[string]layer.Rule{
		"affine":       must(layer.NewAffine(normals(rng, 12), normals(rng, 3), 3, 4, 1, 1)),
		"affine rows":  must(layer.NewAffine(normals(rng, 6), nil, 3, 2, 2, 1)),
		"affine left":  must(layer.NewAffine(normals(rng, 6), normals(rng, 3), 3, 2, 1, 3)),
		"scale":        must(layer.NewScale(normals(rng, 5), normals(rng, 5), 5)),
		"shift":        must(layer.NewScale(nil, []float64{2}, 5)),
		"select":       must(layer.NewSelect([]int{3, 0, 0, 1}, 5)),
		"sum":          must(layer.NewSum([]float64{1, -2, 0.5}, 3)),
		"reshape":      must(layer.NewReshape(4)),
		"relu":         must(layer.NewElementwise([]activation.Activation{relu}, 5)),
		"relu or tanh": must(layer.NewElementwise([]activation.Activation{relu, tanh, tanh, relu}, 4)),
		"one element":  must(layer.NewElementwise([]activation.Activation{activation.GELU()}, 1)),
	} {
		t.Run(name, func(t *testing.T) { TestLayer(t, rule, LayerOptions{}) })
	}
}

// liar is a linear rule whose Forward is not its matrix.
type liar struct{ layer.Linear }

func (l liar) Forward(dst []float64, x ...[]float64) {
	l.Linear.Forward(dst, x...)
	dst[0] += x[0][1]
}

// deaf is a linear rule whose gain on bystanders is wrong.
type deaf struct{ layer.Linear }

func (d deaf) Matrix(i int) layer.Matrix { return halved{d.Linear.Matrix(i)} }

type halved struct{ layer.Matrix }

func (h halved) MulDiagTo(dst blas64.General, v []float64) {
	h.Matrix.MulDiagTo(dst, v)
	for i := range dst.Rows {
		for j := range dst.Cols {
			dst.Data[i*dst.Stride+j] /= 2
		}
	}
}

func TestBrokenRulesFail(t *testing.T) {
	good := must(layer.NewAffine(normals(rand.New(rand.NewPCG(4, 4)), 6), nil, 2, 3, 1, 1))
	for _, c := range []struct {
		fault, input, check string
		rule                layer.Rule
	}{
		{"", "", "", good},
		{"forward is another function", "correlated", "monte carlo", liar{good}},
		{"half the gain", "independent", "monte carlo", deaf{good}},
	} {
		net, err := layerNetwork(c.rule)
		if err != nil {
			t.Fatal(err)
		}
		for name, in := range layerInputs(net.InputDim(), 0.7) {
			checks := propagatorChecks(net, net, in, PropagatorOptions{Samples: 20000})
			if c.fault == "" {
				if failed := failing(checks); failed != nil {
					t.Errorf("without a fault, %q fail", failed)
				}
			} else if name == c.input {
				detects(t, c.fault, c.check, checks)
			}
		}
	}
	net := must(layerNetwork(liar{good}))
	detects(t, "forward is another function", "jacobian", forwardChecks(net, liar{good}))
}

// An input of rank 1 has correlations of one throughout.
func TestRandomGaussian(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	g := RandomGaussian(rng, 6, 1, 2)
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := covprop.NewDense(6, g.Cov.(*covprop.Dense).RawMatrix().Data); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		for j := range 6 {
			c, v := g.Cov.At(i, j), g.Cov.At(i, i)*g.Cov.At(j, j)
			if d := c*c - v; d > 1e-14*v || d < -1e-14*v {
				t.Errorf("correlation (%d,%d) is not +-1", i, j)
			}
		}
	}
}
