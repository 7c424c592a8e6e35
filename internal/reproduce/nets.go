package reproduce

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// A design is the shape of a random network: linear rules with a ReLU between
// every two.
type design struct {
	name, title string
	inputs      int
	// linear draws the linear rules.
	linear func(rng *rand.Rand) ([]layer.Rule, error)
}

// designs are the networks of Wright, Nakahira & Moura (2024), section 4.2.
var designs = []design{
	{"fc3", "100-100x3-1", 100, func(rng *rand.Rand) ([]layer.Rule, error) { return dense(rng, 100, 100, 100, 100, 1) }},
	{"fc7", "100-100x7-1", 100, func(rng *rand.Rand) ([]layer.Rule, error) {
		return dense(rng, 100, 100, 100, 100, 100, 100, 100, 100, 1)
	}},
	{"conv3", "1x20x20, 3 convolutions to 10 channels, 1", 400, func(rng *rand.Rand) ([]layer.Rule, error) {
		return convolutions(rng, 20, 3, 10)
	}},
	{"conv7", "1x20x20, 7 convolutions to 10 channels, 1", 400, func(rng *rand.Rand) ([]layer.Rule, error) {
		return convolutions(rng, 20, 7, 10)
	}},
}

// Designs returns the names of the networks that Tightness knows.
func Designs() (names []string) {
	for _, d := range designs {
		names = append(names, d.name)
	}
	return names
}

// uniform returns n numbers of PyTorch's default initialisation of weights and
// biases alike, U(-1/sqrt(fanIn), 1/sqrt(fanIn)).
func uniform(rng *rand.Rand, n, fanIn int) []float64 {
	x, bound := make([]float64, n), 1/math.Sqrt(float64(fanIn))
	for i := range x {
		x[i] = bound * (2*rng.Float64() - 1)
	}
	return x
}

// dense draws the affine maps of a fully connected network of these widths.
func dense(rng *rand.Rand, widths ...int) (rules []layer.Rule, err error) {
	for i, out := range widths[1:] {
		in := widths[i]
		a, err := layer.NewAffine(uniform(rng, out*in, in), uniform(rng, out, in), out, in, 1, 1)
		if err != nil {
			return nil, err
		}
		rules = append(rules, a)
	}
	return rules, nil
}

// convolutions draws count convolutions of 3 x 3 taps, padded by one, of an
// image of side x side pixels with one channel, and the affine map of their
// last output to one number.
func convolutions(rng *rand.Rand, side, count, channels int) (rules []layer.Rule, err error) {
	const taps = 9
	in, pixels, at := 1, side*side, neighbours(side)
	for range count {
		fanIn := in * taps
		c, err := layer.NewConv(uniform(rng, channels*fanIn, fanIn), uniform(rng, channels, fanIn), at, 1, 1, channels, in, pixels, taps)
		if err != nil {
			return nil, err
		}
		rules, in = append(rules, c), channels
	}
	last, err := dense(rng, in*pixels, 1)
	return append(rules, last...), err
}

// neighbours returns the table of 3 x 3 taps over an image padded by one.
func neighbours(side int) (at []int) {
	for y := range side {
		for x := range side {
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					if u, v := y+dy, x+dx; u >= 0 && u < side && v >= 0 && v < side {
						at = append(at, u*side+v)
					} else {
						at = append(at, -1)
					}
				}
			}
		}
	}
	return at
}

// withReLU puts a ReLU between every two linear rules.
func withReLU(linear []layer.Rule) (rules []layer.Rule, err error) {
	for i, r := range linear {
		if i > 0 {
			relu, err := newReLU(linear[i-1].OutputLen())
			if err != nil {
				return nil, err
			}
			rules = append(rules, relu)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func newReLU(n int) (*layer.Elementwise, error) {
	return layer.NewElementwise([]activation.Activation{activation.ReLU()}, n)
}

// chain returns the network of rules with one input each, one after the other.
func chain(rules []layer.Rule) (*graph.Network, error) {
	b := graph.NewBuilder()
	at, err := b.Input("x", []int{rules[0].Inputs()[0]})
	if err != nil {
		return nil, err
	}
	for i, r := range rules {
		node := graph.Node{
			Name: fmt.Sprintf("step%d", i), Op: r.Name(), Rule: r, Inputs: []graph.Tensor{at},
			Output: fmt.Sprintf("t%d", i), Shape: []int{r.OutputLen()},
		}
		if at, err = b.Add(node); err != nil {
			return nil, err
		}
	}
	if err := b.Output("y", at); err != nil {
		return nil, err
	}
	return b.Build()
}

// A subject is a random network, also in two parts, without the ReLU in its
// middle.
type subject struct{ whole, before, after *graph.Network }

func (d *design) draw(rng *rand.Rand) (s subject, err error) {
	linear, err := d.linear(rng)
	if err != nil {
		return s, err
	}
	rules, err := withReLU(linear)
	if err != nil {
		return s, err
	}
	// Of the 2k + 1 steps the odd ones are ReLUs; with 3 or 7 of these, k odd,
	// step k is the one in the middle.
	middle := len(rules) / 2
	if s.whole, err = chain(rules); err != nil {
		return s, err
	}
	if s.before, err = chain(rules[:middle]); err != nil {
		return s, err
	}
	s.after, err = chain(rules[middle+1:])
	return s, err
}

// A Norm says what is one about a random covariance.
type Norm string

// The norms. Section 4.2 of Wright et al. asks for the spectral norm; their
// public program scales the Frobenius norm to one, which for n variables makes
// the covariance smaller by a factor of about sqrt(n/3).
const (
	Spectral  Norm = "spectral"  // the largest eigenvalue
	Frobenius Norm = "frobenius" // the root of the sum of the squared eigenvalues
)

// checkRuns checks the options that the experiments with random covariances
// share.
func checkRuns(runs, samples, threads int, norm Norm) error {
	switch {
	case runs < 1:
		return fmt.Errorf("the number of runs must be at least 1, not %d", runs)
	case samples < 2:
		return fmt.Errorf("the number of samples must be at least 2, not %d", samples)
	case threads < 0:
		return fmt.Errorf("the number of threads must not be negative, as %d is", threads)
	case norm != "" && norm != Spectral && norm != Frobenius:
		return fmt.Errorf("the norm %q is neither %s nor %s", norm, Spectral, Frobenius)
	}
	return nil
}

// randomInput draws a Gaussian: the mean from N(0, I) and the covariance
// Q diag(lambda) Q', where lambda is uniform on (0, 1]^n and then scaled to norm
// one, and Q the orthogonal factor of a matrix of standard normal numbers. The
// signs of Q's columns do not matter, so Q is uniform.
func randomInput(rng *rand.Rand, n int, norm Norm) covprop.Gaussian {
	mean, lambda := make([]float64, n), make([]float64, n)
	for i := range mean {
		mean[i] = rng.NormFloat64()
	}
	size := 0.0
	for i := range lambda {
		lambda[i] = 1 - rng.Float64()
		if norm == Frobenius {
			size = math.Hypot(size, lambda[i])
		} else {
			size = math.Max(size, lambda[i])
		}
	}
	a := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			a.Set(i, j, rng.NormFloat64())
		}
	}
	var (
		qr mat.QR
		q  mat.Dense
	)
	qr.Factorize(a)
	qr.QTo(&q)
	for j, l := range lambda {
		s := math.Sqrt(l / size)
		for i := range n {
			a.Set(i, j, s*q.At(i, j))
		}
	}
	var cov mat.Dense
	cov.Mul(a, a.T())
	raw := cov.RawMatrix()
	for i := range n { // the product is symmetric to rounding; this makes it so
		for j := range i {
			raw.Data[i*raw.Stride+j] = raw.Data[j*raw.Stride+i]
		}
	}
	return covprop.Gaussian{Mean: mean, Cov: covprop.DenseOf(raw)}
}
