package modelfile

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/bayes"
)

// A description is a model in JSON.
type description struct {
	Inputs     int           `json:"inputs"`
	Layers     []layerText   `json:"layers"`
	Likelihood likelihood    `json:"likelihood"`
	Prior      priorVariance `json:"prior"`
}

// A layerText has one of its fields set.
type layerText struct {
	Linear     *linear     `json:"linear,omitempty"`
	Activation string      `json:"activation,omitempty"`
	Residual   []layerText `json:"residual,omitempty"`
}

type linear struct {
	Out           int  `json:"out"`
	Deterministic bool `json:"deterministic,omitempty"`
}

type likelihood struct {
	Name    string  `json:"name"`
	Targets int     `json:"targets,omitempty"`
	Classes int     `json:"classes,omitempty"`
	DoF     float64 `json:"degrees_of_freedom,omitempty"`
}

type priorVariance struct {
	Variance  float64 `json:"variance,omitempty"`
	Empirical bool    `json:"empirical,omitempty"`
	Alpha     float64 `json:"alpha,omitempty"`
	Beta      float64 `json:"beta,omitempty"`
}

func describe(m *bayes.Model) (*description, error) {
	layers, err := describeLayers(m.Network().Layers())
	if err != nil {
		return nil, err
	}
	d := &description{
		Inputs: m.Network().Inputs(), Layers: layers, Prior: priorVariance(m.Prior()),
		Likelihood: likelihood{Name: m.Likelihood().Name()},
	}
	switch l := m.Likelihood().(type) {
	case bayes.HeteroscedasticGaussian:
		d.Likelihood.Targets = l.Targets
	case bayes.Gaussian:
		d.Likelihood.Targets = l.Targets
	case bayes.StudentT:
		d.Likelihood.Targets, d.Likelihood.DoF = l.Targets, l.DoF
	case bayes.Softmax:
		d.Likelihood.Classes = l.Classes
	}
	return d, nil
}

func describeLayers(layers []bayes.Layer) ([]layerText, error) {
	var d []layerText
	for _, l := range layers {
		switch l := l.(type) {
		case bayes.Linear:
			d = append(d, layerText{Linear: &linear{l.Out, l.Deterministic}})
		case bayes.Activation:
			same, err := activation.Parse(l.Name())
			if err != nil || !reflect.DeepEqual(same, l.Activation) {
				return nil, fmt.Errorf("the activation %s has no name that a file could hold; use one of activation.Names", l.Name())
			}
			d = append(d, layerText{Activation: l.Name()})
		case bayes.Residual:
			inner, err := describeLayers(l.Layers)
			if err != nil {
				return nil, err
			}
			d = append(d, layerText{Residual: inner})
		}
	}
	return d, nil
}

func (d *description) build() (*bayes.Model, error) {
	layers, err := buildLayers(d.Layers)
	if err != nil {
		return nil, err
	}
	n, err := bayes.New(d.Inputs, layers...)
	if err != nil {
		return nil, err
	}
	var l bayes.Likelihood
	for _, known := range []bayes.Likelihood{
		bayes.HeteroscedasticGaussian{Targets: d.Likelihood.Targets},
		bayes.Gaussian{Targets: d.Likelihood.Targets},
		bayes.StudentT{Targets: d.Likelihood.Targets, DoF: d.Likelihood.DoF},
		bayes.Probit{},
		bayes.Softmax{Classes: d.Likelihood.Classes},
	} {
		if known.Name() == d.Likelihood.Name {
			l = known
		}
	}
	if l == nil {
		return nil, fmt.Errorf("there is no likelihood %q", d.Likelihood.Name)
	}
	return bayes.NewModel(n, l, bayes.Prior(d.Prior))
}

func buildLayers(d []layerText) ([]bayes.Layer, error) {
	var layers []bayes.Layer
	for _, l := range d {
		switch {
		case l.Linear != nil:
			layers = append(layers, bayes.Linear{Out: l.Linear.Out, Deterministic: l.Linear.Deterministic})
		case l.Activation != "":
			a, err := activation.Parse(l.Activation)
			if err != nil {
				return nil, err
			}
			layers = append(layers, bayes.Activation{Activation: a})
		case l.Residual != nil:
			inner, err := buildLayers(l.Residual)
			if err != nil {
				return nil, err
			}
			layers = append(layers, bayes.Residual{Layers: inner})
		default:
			return nil, errors.New("a layer is neither linear nor an activation nor a residual")
		}
	}
	return layers, nil
}
