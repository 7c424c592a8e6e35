package bayes

import (
	"fmt"

	"github.com/covprop/covprop/activation"
)

// A Layer is a [Linear], an [Activation] or a [Residual].
type Layer interface {
	// compile appends the steps of the layer, whose name is prefix, to c.
	compile(c *compiler, prefix string) error
}

// Linear is y = W x + b with Gaussian weights and biases, or with plain ones.
type Linear struct {
	Out           int  // length of y
	Deterministic bool // the weights are numbers: no variances
}

// Activation applies a function to every element.
type Activation struct{ activation.Activation }

// Residual is y = x + f(x), where f is Layers one after the other, which keep
// the dimension. The covariance of x and f(x) is part of that of y.
type Residual struct{ Layers []Layer }

// maxUnits bounds the length of a layer, so that sizes of matrices stay far
// within an int.
const maxUnits = 1 << 15

// maxDepth bounds how deep Residuals may be nested.
const maxDepth = 8

// A Network is the architecture of a Bayesian network. It is immutable and safe
// for concurrent use.
type Network struct {
	inputs, outputs int
	layers          []Layer
	steps           []step
	parameters      []Parameter
	size            int
	notGaussian     [2]bool // that the outputs are not, given a certain and an uncertain input
}

type stepKind int

const (
	linearStep stepKind = iota
	activationStep
	enterStep // a Residual begins: its input is kept
	leaveStep // and ends: the input is added
)

// A step turns state i of a pass into state i+1.
type step struct {
	kind    stepKind
	in, out int
	linear  linear
	act     elementwise
	enter   int // of leaveStep: the step in which the Residual began
	depth   int // Residuals open behind the step
	// inexact says that the input of an activation is random and not exactly
	// Gaussian, given that the network's input is certain and that it is uncertain.
	inexact [2]bool
}

// linear says where the parameters of a Linear are in theta.
type linear struct {
	uncertain          bool
	weight, bias       int // offsets of M (out, in) and m (out)
	weightLog, biasLog int // of log V and log v
	end                int // behind all of them
	name               string
}

// New returns the network that applies the layers one after the other to
// vectors of the given length.
func New(inputs int, layers ...Layer) (*Network, error) {
	if inputs < 1 || inputs > maxUnits {
		return nil, fmt.Errorf("bayes: a network has from 1 to %d inputs, not %d", maxUnits, inputs)
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("bayes: the network has no layers")
	}
	c := compiler{net: &Network{inputs: inputs, layers: append([]Layer(nil), layers...)}, width: inputs, uncertain: [2]bool{false, true}}
	if err := c.sequence("", layers); err != nil {
		return nil, fmt.Errorf("bayes: %w", err)
	}
	c.net.outputs, c.net.notGaussian = c.width, c.notGaussian
	return c.net, nil
}

// Inputs returns the length of an input vector.
func (n *Network) Inputs() int { return n.inputs }

// Outputs returns the length of an output vector.
func (n *Network) Outputs() int { return n.outputs }

// Layers returns the layers. They must not be changed.
func (n *Network) Layers() []Layer { return n.layers }

// A compiler collects the steps of a network.
type compiler struct {
	net   *Network
	width int // of the last state
	open  int // Residuals
	// What holds for the state given a certain input and an uncertain one: that a
	// random number has entered, and that it is not exactly Gaussian for that.
	uncertain, notGaussian [2]bool
}

// sequence compiles layers one after the other, named prefix + index.
func (c *compiler) sequence(prefix string, layers []Layer) error {
	for i, l := range layers {
		name := fmt.Sprintf("%s%d", prefix, i)
		if l == nil {
			return fmt.Errorf("layer %s is nil", name)
		}
		if err := l.compile(c, name); err != nil {
			return fmt.Errorf("layer %s: %w", name, err)
		}
	}
	return nil
}

func (c *compiler) add(s step) {
	s.in, s.depth = c.width, c.open
	if s.out == 0 {
		s.out = s.in
	}
	c.width = s.out
	c.net.steps = append(c.net.steps, s)
}

func (l Linear) compile(c *compiler, prefix string) error {
	if l.Out < 1 || l.Out > maxUnits {
		return fmt.Errorf("a linear layer has from 1 to %d outputs, not %d", maxUnits, l.Out)
	}
	p := linear{uncertain: !l.Deterministic, name: prefix}
	if l.Deterministic {
		p.weight = c.net.parameter(prefix+".weight", Mean, l.Out, c.width)
		p.bias = c.net.parameter(prefix+".bias", Mean, l.Out)
	} else {
		p.weight = c.net.parameter(prefix+".weight.mean", Mean, l.Out, c.width)
		p.weightLog = c.net.parameter(prefix+".weight.logvar", LogVariance, l.Out, c.width)
		p.bias = c.net.parameter(prefix+".bias.mean", Mean, l.Out)
		p.biasLog = c.net.parameter(prefix+".bias.logvar", LogVariance, l.Out)
	}
	p.end = c.net.size
	c.add(step{kind: linearStep, out: l.Out, linear: p})
	for k, random := range c.uncertain {
		// A product of random weights with a random input is not Gaussian.
		c.notGaussian[k] = c.notGaussian[k] || random && p.uncertain
		c.uncertain[k] = random || p.uncertain
	}
	return nil
}

func (a Activation) compile(c *compiler, _ string) error {
	if a.Activation == nil {
		return fmt.Errorf("the activation is nil")
	}
	c.add(step{kind: activationStep, act: newElementwise(a.Activation), inexact: c.notGaussian})
	for k, random := range c.uncertain {
		c.notGaussian[k] = c.notGaussian[k] || random
	}
	return nil
}

func (r Residual) compile(c *compiler, prefix string) error {
	if len(r.Layers) == 0 {
		return fmt.Errorf("a residual has no layers")
	}
	if c.open == maxDepth {
		return fmt.Errorf("residuals are nested more than %d deep", maxDepth)
	}
	enter, width := len(c.net.steps), c.width
	c.open++
	c.add(step{kind: enterStep})
	if err := c.sequence(prefix+".", r.Layers); err != nil {
		return err
	}
	if c.width != width {
		return fmt.Errorf("a residual makes %d elements of %d, which cannot be added", c.width, width)
	}
	c.open--
	c.add(step{kind: leaveStep, enter: enter})
	return nil
}
