package reproduce

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// LeNet is the all-convolutional network that Wright, Nakahira and Moura
// (AISTATS 2024) train on MNIST, loosely LeNet-5: with a width of 32
//
//	conv1    1 -> 32 channels, 5 x 5, padding 2, ReLU    (32, 28, 28)
//	conv2   32 -> 32 channels, 2 x 2, stride 2           (32, 14, 14)
//	conv3   32 -> 64 channels, 5 x 5, padding 2, ReLU    (64, 14, 14)
//	conv4   64 -> 64 channels, 2 x 2, stride 2           (64, 7, 7)
//	linear1 3136 -> 1024, ReLU
//	linear2 1024 -> 10 logits
//
// Another width w has w, w, 2w, 2w channels and 32w units: a smaller variant
// where memory is short.
type LeNet struct {
	Width  int
	stages []stage
	params []float32 // weights and bias of every stage in turn
}

// LeNetWidth is the width of the paper's network and the largest there is.
const LeNetWidth = 32

// A stage is a convolution, followed by a ReLU or not. A linear layer is a
// convolution with one output position, each of whose taps meets one input
// position.
type stage struct {
	name         string
	relu         bool
	outC, inC    int
	positions    int   // of the input
	outPositions int   // of the output
	taps         int   // kernel x kernel
	at           []int // (outPositions, taps): the input position that a tap meets, -1 in the padding
	w            []float32
	b            []float32 // w is (outC, inC taps), b (outC)
}

// newStage returns the convolution of inC channels of side x side pixels to
// outC channels.
func newStage(name string, inC, outC, side, kernel, stride, pad int, relu bool) stage {
	out := (side+2*pad-kernel)/stride + 1
	s := stage{
		name: name, relu: relu, outC: outC, inC: inC,
		positions: side * side, outPositions: out * out, taps: kernel * kernel,
	}
	inside := func(i int) bool { return i >= 0 && i < side }
	for p := range out * out {
		for t := range kernel * kernel {
			y, x := p/out*stride-pad+t/kernel, p%out*stride-pad+t%kernel
			q := -1
			if inside(y) && inside(x) {
				q = y*side + x
			}
			s.at = append(s.at, q)
		}
	}
	return s
}

// linear reports whether the stage is a linear layer.
func (s *stage) linear() bool { return s.outPositions == 1 }

// newLeNet returns the network with all parameters zero.
func newLeNet(width int) (*LeNet, error) {
	if width < 1 || width > LeNetWidth {
		return nil, fmt.Errorf("the width of the network must be between 1 and %d, not %d", LeNetWidth, width)
	}
	w := width
	n := &LeNet{Width: w, stages: []stage{
		newStage("conv1", 1, w, dataset.MNISTSide, 5, 1, 2, true),
		newStage("conv2", w, w, dataset.MNISTSide, 2, 2, 0, false),
		newStage("conv3", w, 2*w, dataset.MNISTSide/2, 5, 1, 2, true),
		newStage("conv4", 2*w, 2*w, dataset.MNISTSide/2, 2, 2, 0, false),
		newStage("linear1", 2*w, 32*w, dataset.MNISTSide/4, dataset.MNISTSide/4, 1, 0, true),
		newStage("linear2", 32*w, dataset.MNISTClasses, 1, 1, 1, 0, false),
	}}
	total := 0
	for _, s := range n.stages {
		total += s.outC*s.inC*s.taps + s.outC
	}
	n.params = make([]float32, total)
	n.bind(n.params, func(s *stage, w, b []float32) { s.w, s.b = w, b })
	return n, nil
}

// bind calls f with every stage and its part of p, which is laid out as the
// parameters.
func (n *LeNet) bind(p []float32, f func(s *stage, w, b []float32)) {
	for i := range n.stages {
		s := &n.stages[i]
		weights := s.outC * s.inC * s.taps
		f(s, p[:weights], p[weights:][:s.outC])
		p = p[weights+s.outC:]
	}
}

// NewLeNet returns a network of the given width whose parameters are
// uniform between -1/sqrt(m) and 1/sqrt(m) for m inputs of a unit, PyTorch's
// default.
func NewLeNet(width int, seed uint64) (*LeNet, error) {
	n, err := newLeNet(width)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(seed, 0x6c656e6574)) // "lenet"
	for i := range n.stages {
		s := &n.stages[i]
		bound := 1 / math.Sqrt(float64(s.inC*s.taps))
		for _, p := range [][]float32{s.w, s.b} {
			for k := range p {
				p[k] = float32(bound * (2*rng.Float64() - 1))
			}
		}
	}
	return n, nil
}

// Parameters returns the number of parameters.
func (n *LeNet) Parameters() int { return len(n.params) }

// Network returns the trained network as one that propagates Gaussians, from
// the pixels after Standardize to the ten logits. The parameters are copied.
func (n *LeNet) Network() (*graph.Network, error) { return network(n.stages, true) }

// halves returns the network before and after the second of its three ReLUs,
// the one in the middle.
func (n *LeNet) halves() (before, after *graph.Network, err error) {
	const middle = 3 // stages
	if before, err = network(n.stages[:middle], false); err != nil {
		return nil, nil, err
	}
	after, err = network(n.stages[middle:], true)
	return before, after, err
}

// network builds a network of stages, the last of them with its ReLU, if it
// has one, or without.
func network(stages []stage, lastReLU bool) (*graph.Network, error) {
	b := graph.NewBuilder()
	first := &stages[0]
	x, err := b.Input("image", square(first.inC, first.positions))
	if err != nil {
		return nil, err
	}
	for i := range stages {
		s := &stages[i]
		shape := square(s.outC, s.outPositions)
		rule, op, err := s.rule()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		x, err = b.Add(graph.Node{Name: s.name, Op: op, Rule: rule, Inputs: []graph.Tensor{x}, Output: s.name, Shape: shape})
		if err != nil {
			return nil, err
		}
		if !s.relu || i == len(stages)-1 && !lastReLU {
			continue
		}
		relu, err := newReLU(s.outC * s.outPositions)
		if err != nil {
			return nil, err
		}
		name := s.name + "/relu"
		x, err = b.Add(graph.Node{Name: name, Op: "Relu", Rule: relu, Inputs: []graph.Tensor{x}, Output: name, Shape: shape})
		if err != nil {
			return nil, err
		}
	}
	if err := b.Output("y", x); err != nil {
		return nil, err
	}
	return b.Build()
}

// square is the shape of channels of so many positions.
func square(channels, positions int) []int {
	side := int(math.Sqrt(float64(positions)))
	return []int{channels, side, side}
}

// rule returns the stage's affine map and the name of its operator.
func (s *stage) rule() (layer.Rule, string, error) {
	w, bias := widen(s.w), widen(s.b)
	if s.linear() {
		r, err := layer.NewAffine(w, bias, s.outC, s.inC*s.taps, 1, 1)
		return r, "Gemm", err
	}
	r, err := layer.NewConv(w, bias, s.at, 1, 1, s.outC, s.inC, s.positions, s.taps)
	return r, "Conv", err
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// Standardize writes the pixels of a picture as the network takes them, from
// [0, 255] to [0, 1] and then to the mean 0 and the standard deviation 1 of
// the pixels of MNIST's training part.
func Standardize[T float32 | float64](dst []T, pixels []byte) {
	const mean, std = 0.1307, 0.3081
	for i, p := range pixels {
		dst[i] = T((float64(p)/255 - mean) / std)
	}
}
