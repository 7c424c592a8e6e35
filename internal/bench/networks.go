package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/layer"
)

// A dense is the map y = w x + b.
type dense struct {
	w blas64.General // (out, in)
	b []float64      // (out)
}

// uniform returns n numbers of PyTorch's default initialisation of weights and
// biases, U(-1/sqrt(fanIn), 1/sqrt(fanIn)).
func uniform(rng *rand.Rand, n, fanIn int) []float64 {
	x, bound := make([]float64, n), 1/math.Sqrt(float64(fanIn))
	for i := range x {
		x[i] = bound * (2*rng.Float64() - 1)
	}
	return x
}

// randomDense returns the maps of a fully connected network of these widths.
func randomDense(rng *rand.Rand, widths ...int) (maps []dense) {
	for i, out := range widths[1:] {
		in := widths[i]
		maps = append(maps, dense{
			w: blas64.General{Rows: out, Cols: in, Stride: in, Data: uniform(rng, out*in, in)},
			b: uniform(rng, out, in),
		})
	}
	return maps
}

// randomInput returns the mean N(0, I) and the covariance A A'/(2n), where A is
// n x 2n of standard normal numbers.
func randomInput(ctx context.Context, rng *rand.Rand, n int) (covprop.Gaussian, error) {
	mean, cov := normals(rng, n), square(n, make([]float64, n*n))
	a := blas64.General{Rows: n, Cols: 2 * n, Stride: 2 * n, Data: normals(rng, 2*n*n)}
	for i := range a.Data {
		a.Data[i] /= math.Sqrt(2 * float64(n))
	}
	err := kernel.MulSymTo(ctx, 1, cov, a, a)
	return covprop.Gaussian{Mean: mean, Cov: covprop.DenseOf(cov)}, err
}

// A chain builds a network of one rule after the other. The first error stays.
type chain struct {
	b   *graph.Builder
	at  graph.Tensor
	err error
}

func newChain(n int) *chain {
	c := &chain{b: graph.NewBuilder()}
	c.at, c.err = c.b.Input("x", []int{n})
	return c
}

func (c *chain) add(rule layer.Rule, err error) {
	if c.err == nil {
		c.err = err
	}
	if c.err == nil {
		c.at, c.err = c.b.Add(graph.Node{Rule: rule, Inputs: []graph.Tensor{c.at}, Shape: []int{rule.OutputLen()}})
	}
}

func (c *chain) dense(d dense) {
	a, err := layer.NewAffine(d.w.Data, d.b, d.w.Rows, d.w.Cols, 1, 1)
	c.add(a, err)
}

func (c *chain) relu(n int) {
	e, err := newReLU(n)
	c.add(e, err)
}

func newReLU(n int) (*layer.Elementwise, error) {
	return layer.NewElementwise([]activation.Activation{activation.ReLU()}, n)
}

// build returns the network, to run on one thread.
func (c *chain) build() (*graph.Network, error) {
	if c.err == nil {
		c.err = c.b.Output("y", c.at)
	}
	if c.err != nil {
		return nil, c.err
	}
	n, err := c.b.Build()
	if err != nil {
		return nil, err
	}
	return n.With(graph.Options{Threads: 1}), nil
}

// network returns the fully connected network of these maps, with ReLU between
// them.
func network(maps []dense) (*graph.Network, error) {
	c := newChain(maps[0].w.Cols)
	for i, d := range maps {
		if i > 0 {
			c.relu(d.w.Cols)
		}
		c.dense(d)
	}
	return c.build()
}

// sandwich returns the floating-point operations of W Sigma W', both products
// plain, where W is (out, in); 4 n^3 where it is square.
func sandwich(out, in int) float64 {
	o, i := float64(out), float64(in)
	return 2*o*i*i + 2*o*o*i
}

// propagation adds the propagation of a dense covariance through a network,
// as the results name, in ms, and name_vs_gemm, the ratio to the arithmetic of
// its affine steps at the rate of the plain product.
func (s *suite) propagation(name string, flops float64, net *graph.Network, in covprop.Gaussian) *task {
	ws := graph.NewWorkspace()
	var res covprop.Result
	t := s.work(flops, func(ctx context.Context) error { return net.PropagateTo(ctx, &res, in, ws) })
	s.result(name, milliseconds, func() (float64, string) {
		return t.ms(), fmt.Sprintf("%.3g ms at the rate of gemm_f64_n1024_1t", flops/s.gemm.rate()/1e6)
	})
	s.result(name+"_vs_gemm", ratio, func() (float64, string) { return s.gemm.rate() / t.rate(), "" })
	return t
}

// The fully connected network has mlpHidden hidden layers of mlpWidth units.
const mlpWidth, mlpHidden = 100, 7

// mlpWidths are the widths of its layers, input and output included.
func (s *suite) mlpWidths() (widths []int) {
	for range 1 + mlpHidden {
		widths = append(widths, s.size(mlpWidth, 8))
	}
	return append(widths, 1)
}

// mlp adds the fully connected network, and Monte Carlo of it.
func (s *suite) mlp(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(2, 2))
	maps := randomDense(rng, s.mlpWidths()...)
	in, err := randomInput(ctx, rng, maps[0].w.Cols)
	if err != nil {
		return err
	}
	net, err := network(maps)
	if err != nil {
		return err
	}
	flops := 0.
	for _, d := range maps {
		flops += sandwich(d.w.Rows, d.w.Cols)
	}
	s.mlpTime = s.propagation("mlp_100x7", flops, net, in)
	return s.monteCarlo(maps, in)
}

// The convolutional network sees an image of convSide x convSide pixels, and
// has convLayers convolutions of 3 x 3 taps to convChannels channels.
const convSide, convLayers, convChannels, convTaps = 20, 3, 10, 9

// conv adds the convolutional network.
func (s *suite) conv(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(3, 3))
	side := s.size(convSide, 3)
	pixels := side * side
	in, err := randomInput(ctx, rng, pixels)
	if err != nil {
		return err
	}
	flops, channels := 0., 1
	c, at := newChain(pixels), neighbours(side)
	for range convLayers {
		fanIn := channels * convTaps
		rule, err := layer.NewConv(uniform(rng, convChannels*fanIn, fanIn), uniform(rng, convChannels, fanIn), at,
			1, 1, convChannels, channels, pixels, convTaps)
		c.add(rule, err)
		c.relu(convChannels * pixels)
		column := 2 * float64(fanIn) * float64(convChannels*pixels)
		flops += column * float64((channels+convChannels)*pixels)
		channels = convChannels
	}
	last := randomDense(rng, channels*pixels, 1)[0]
	c.dense(last)
	flops += sandwich(1, last.w.Cols)
	net, err := c.build()
	if err != nil {
		return err
	}
	s.propagation("conv20x20", flops, net, in)
	n := float64(channels * pixels)
	s.result("conv20x20_peak_memory", ratio, func() (float64, string) {
		return float64(net.PeakBytes()) / (8 * n * n), fmt.Sprintf("to its largest covariance, %.3g MB, as planned", 8*n*n/1e6)
	})
	return nil
}

// neighbours returns the table of 3 x 3 taps over an image, padded by one.
func neighbours(side int) (at []int) {
	for i := range side {
		for j := range side {
			for k := range convTaps {
				y, x := i+k/3-1, j+k%3-1
				if y < 0 || y >= side || x < 0 || x >= side {
					at = append(at, -1)
				} else {
					at = append(at, y*side+x)
				}
			}
		}
	}
	return at
}
