package modelfile

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/bayes/train"
	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/internal/safetensors"
)

// example returns a model with two members for a table of three columns of numbers
// and one of two categories.
func example(t testing.TB, l bayes.Likelihood, outputs int, target dataset.Target) *File {
	t.Helper()
	n, err := bayes.New(5,
		bayes.Linear{Out: 3}, bayes.Activation{Activation: activation.LeakyReLU(0.25)},
		bayes.Residual{Layers: []bayes.Layer{bayes.Linear{Out: 3, Deterministic: true}, bayes.Activation{Activation: activation.GELU()}}},
		bayes.Linear{Out: outputs})
	if err != nil {
		t.Fatal(err)
	}
	m, err := bayes.NewModel(n, l, bayes.Prior{Empirical: true, Alpha: 4, Beta: 1})
	if err != nil {
		t.Fatal(err)
	}
	e := &dataset.Encoder{Target: target, Impute: true, Constant: []string{"k"}}
	for _, name := range []string{"a", "b", "c"} {
		e.Features = append(e.Features, dataset.Feature{Name: name, Mean: 1.0 / 3, Std: 2})
	}
	e.Features = append(e.Features, dataset.Feature{Name: "d", Categories: []string{"u", "v"}, Frequencies: []float64{.25, .75}})
	f := &File{Model: m, Encoder: e, Members: [][]float64{m.Init(1), m.Init(2)}}
	f.Training = Training{Program: "covprop test", Config: train.Config{Seed: 3}.WithDefaults(), Members: 2, Rows: 7, Data: "0123"}
	return f
}

func number(name string) dataset.Target { return dataset.Target{Name: name, Mean: 5, Std: 0.1} }

func encode(t testing.TB, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for name, f := range map[string]*File{
		"heteroscedastic": example(t, bayes.HeteroscedasticGaussian{Targets: 1}, 2, number("y")),
		"gaussian":        example(t, bayes.Gaussian{Targets: 1}, 1, number("y")),
		"student":         example(t, bayes.StudentT{Targets: 1, DoF: 4.5}, 1, number("y")),
		"probit":          example(t, bayes.Probit{}, 1, dataset.Target{Name: "y", Classes: []string{"no", "yes"}}),
		"softmax":         example(t, bayes.Softmax{Classes: 3}, 3, dataset.Target{Name: "y", Classes: []string{"p", "q", "r"}}),
	} {
		t.Run(name, func(t *testing.T) {
			raw := encode(t, f)
			if !bytes.Equal(raw, encode(t, f)) {
				t.Error("the same model makes different files")
			}
			g, err := Read(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(g.Model, f.Model) {
				t.Errorf("another model: %+v", g.Model)
			}
			if !reflect.DeepEqual(g.Encoder, f.Encoder) || !reflect.DeepEqual(g.Members, f.Members) || !reflect.DeepEqual(g.Training, f.Training) || g.States != nil {
				t.Errorf("got %+v, want %+v", g, f)
			}
		})
	}
}

// TestCheckpoint checks states with and without best parameters, and members that
// have not begun.
func TestCheckpoint(t *testing.T) {
	f := example(t, bayes.Gaussian{Targets: 1}, 1, number("y"))
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() []float64 {
		v := make([]float64, f.Model.Size())
		for i := range v {
			v[i] = rng.Float64()
		}
		return v
	}
	f.States = []*train.State{
		{Epoch: 3, Theta: random(), First: random(), Second: random()},
		nil,
		{Epoch: 5, Theta: random(), First: random(), Second: random(), Best: random(), BestScore: -1. / 3, BestEpoch: 4},
	}
	g, err := Read(bytes.NewReader(encode(t, f)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g.States, f.States) || !reflect.DeepEqual(g.Members, f.Members) {
		t.Errorf("got %+v, want %+v", g.States, f.States)
	}
}

func TestWriteErrors(t *testing.T) {
	f := example(t, bayes.Gaussian{Targets: 1}, 1, number("y"))
	f.Members[1] = f.Members[1][1:]
	if err := Write(&bytes.Buffer{}, f); err == nil || !strings.Contains(err.Error(), "a member has") {
		t.Errorf("a short member: %v", err)
	}
	own, err := activation.New("own", func(x float64) float64 { return x }, func(float64) float64 { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	n, err := bayes.New(5, bayes.Activation{Activation: own}, bayes.Linear{Out: 1})
	if err != nil {
		t.Fatal(err)
	}
	if f.Model, err = bayes.NewModel(n, bayes.Gaussian{Targets: 1}, bayes.Prior{}); err != nil {
		t.Fatal(err)
	}
	f.Members = [][]float64{f.Model.Init(1)}
	if err := Write(&bytes.Buffer{}, f); err == nil || !strings.Contains(err.Error(), "activation own") {
		t.Errorf("an activation without a name: %v", err)
	}
}

func TestReadErrors(t *testing.T) {
	good := encode(t, example(t, bayes.Gaussian{Targets: 1}, 1, number("y")))
	damage := func(change func(f *safetensors.File)) []byte {
		f, err := safetensors.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		change(f)
		var b bytes.Buffer
		if err := safetensors.Write(&b, f); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	replace := func(key, old, with string) []byte {
		return damage(func(f *safetensors.File) {
			if !strings.Contains(f.Metadata[key], old) {
				t.Fatalf("%s has no %s: %s", key, old, f.Metadata[key])
			}
			f.Metadata[key] = strings.Replace(f.Metadata[key], old, with, 1)
		})
	}
	for want, raw := range map[string][]byte{
		"bytes":                                 good[:len(good)-1],
		"no model that can be read":             []byte("PK\x03\x04 something else"),
		"not a model of covprop train":          replace("format", format, "other"),
		"version 9 of the format":               replace("version", "1", "9"),
		`version "x"`:                           replace("version", "1", "x"),
		`metadata "model" are damaged`:          replace("model", "{", "["),
		"the columns make 5 numbers":            replace("model", `"inputs":5`, `"inputs":6`),
		"no activation":                         replace("model", "gelu", "gelo"),
		"neither linear":                        replace("model", `"activation":"gelu"`, `"other":1`),
		`no likelihood "gauss"`:                 replace("model", `"gaussian"`, `"gauss"`),
		`"0.weight.mean" has the shape [2 5 3]`: damage(func(f *safetensors.File) { f.Tensor("0.weight.mean").Shape = []int{2, 5, 3} }),
		"encoder is damaged":                    replace("encoder", `"std":2`, `"std":0`),
		"the target has 2 classes, but the":     replace("encoder", `"mean":5,"std":0.1`, `"classes":["x","y"]`),
		`tensor "3.bias.mean" is missing`: damage(func(f *safetensors.File) {
			f.Tensors = append(f.Tensors[:0:0], f.Tensors...)
			f.Tensor("3.bias.mean").Name = "x"
		}),
		"element NaN": damage(func(f *safetensors.File) { f.Tensor("0.bias.mean").Data[0] /= 0; f.Tensor("0.bias.mean").Data[0] *= 0 }),
		"checkpoint.": damage(func(f *safetensors.File) { f.Metadata["states"] = `[{"begun":true}]` }),
	} {
		f, err := Read(bytes.NewReader(raw))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, %v; want an error with %q", f, err, want)
		}
	}
}

// FuzzRead checks that what can be read can be written and read again.
func FuzzRead(f *testing.F) {
	file := example(f, bayes.Gaussian{Targets: 1}, 1, number("y"))
	f.Add(encode(f, file))
	file.States = []*train.State{nil}
	f.Add(encode(f, file))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := Read(bytes.NewReader(raw))
		if err != nil {
			return
		}
		b, err := Read(bytes.NewReader(encode(t, a)))
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%v: %+v became %+v", err, a, b)
		}
	})
}
