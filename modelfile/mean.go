package modelfile

import (
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// Mean returns the network that has the means of the weights, and of several members
// the mean of their outputs, as a plain network from columns to the target, each in
// its own units: the standardisation is part of the first and the last layer. Its
// input "x", (1, width), is what Encoder.Names names, categories as one number each.
// Its output "y" is what the likelihood takes: the target, or first the target and
// then its log noise variance, or the classes' scores.
//
// The first and the last layer must be linear.
func (f *File) Mean() (*graph.Network, error) {
	b := graph.NewBuilder()
	x, err := b.Input("x", []int{1, f.Encoder.Width()})
	if err != nil {
		return nil, fmt.Errorf("modelfile: %w", err)
	}
	var outputs []graph.Tensor
	for k, theta := range f.Members {
		prefix := ""
		if len(f.Members) > 1 {
			prefix = fmt.Sprintf("member%d.", k)
		}
		if theta, err = f.inUnits(theta); err != nil {
			return nil, fmt.Errorf("modelfile: %w", err)
		}
		y, err := f.Model.Network().AddMean(b, x, prefix, theta)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, y)
	}
	y := outputs[0]
	if len(outputs) > 1 {
		n := f.Model.Network().Outputs()
		sum, err := layer.NewSum(slices.Repeat([]float64{1}, len(outputs)), n)
		if err != nil {
			return nil, fmt.Errorf("modelfile: %w", err)
		}
		if y, err = b.Add(graph.Node{Name: "members", Op: "Sum", Inputs: outputs, Output: "mean", Shape: []int{1, n}, Rule: sum}); err != nil {
			return nil, fmt.Errorf("modelfile: %w", err)
		}
	}
	if err := b.Output("y", y); err != nil {
		return nil, fmt.Errorf("modelfile: %w", err)
	}
	return b.Build()
}

// inUnits returns the parameters of a member with the means of the first layer's
// weights for columns as they are,
//
//	W x' + b = (W/s) x + ( b - (W/s) m ),   x' = (x - m)/s,
//
// those of the last for the target as it is, m + s y' and log v + 2 log s, and a share
// of one of the members.
func (f *File) inUnits(theta []float64) ([]float64, error) {
	layers := f.Model.Network().Layers()
	last := len(layers) - 1
	_, ok := layers[0].(bayes.Linear)
	if _, also := layers[last].(bayes.Linear); !ok || !also {
		return nil, fmt.Errorf("the first and the last layer must be linear, to take the standardisation in")
	}
	theta = slices.Clone(theta)
	tensor := func(layer int, name string) []float64 {
		name = fmt.Sprint(layer, ".", name)
		for _, p := range f.Model.Parameters() {
			if p.Name == name {
				return theta[p.Offset:][:p.Len]
			}
		}
		return nil
	}
	w, bias, width := tensor(0, "weight.mean"), tensor(0, "bias.mean"), f.Encoder.Width()
	column := 0
	for i := range f.Encoder.Features {
		feature := &f.Encoder.Features[i]
		if feature.Categories != nil {
			column += len(feature.Categories)
			continue
		}
		for unit := range bias {
			w[unit*width+column] /= feature.Std
			bias[unit] -= w[unit*width+column] * feature.Mean
		}
		column++
	}
	w, bias = tensor(last, "weight.mean"), tensor(last, "bias.mean")
	share := 1 / float64(len(f.Members))
	in := len(w) / len(bias)
	for k := range bias {
		scale, shift := 1., 0.
		if t := &f.Encoder.Target; t.Classes == nil {
			scale, shift = t.Std, t.Mean
			if k > 0 { // a log variance
				scale, shift = 1, 2*math.Log(t.Std)
			}
		}
		for j := range in {
			w[k*in+j] *= share * scale
		}
		bias[k] = share * (bias[k]*scale + shift)
	}
	return theta, nil
}
