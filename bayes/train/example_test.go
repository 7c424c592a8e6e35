package train_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/bayes/train"
)

// A network with uncertain weights is fitted to noisy values of a sine between -2
// and 2, and asked there and beyond. What it does not know is the weights' part of
// the variance; what nobody can know is the noise's.
func Example() {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 300
	x, y := make([]float64, n), make([]float64, n)
	for i := range x {
		x[i] = 4*rng.Float64() - 2
		y[i] = math.Sin(2*x[i]) + 0.1*rng.NormFloat64()
	}
	column := func(x []float64) blas64.General {
		return blas64.General{Rows: len(x), Cols: 1, Stride: 1, Data: x}
	}

	network, err := bayes.New(1,
		bayes.Linear{Out: 50}, bayes.Activation{Activation: activation.ReLU()}, bayes.Linear{Out: 1})
	if err != nil {
		log.Fatal(err)
	}
	model, err := bayes.NewModel(network, bayes.Gaussian{Targets: 1}, bayes.Prior{})
	if err != nil {
		log.Fatal(err)
	}
	run := train.Run{
		Model: model, Data: bayes.Batch{X: column(x), Y: column(y)},
		Config: train.Config{Steps: 3000, Batch: 50, Anneal: 0.5},
	}
	state, err := run.Train(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	predictor, err := model.NewPredictor(state.Chosen(), bayes.Options{})
	if err != nil {
		log.Fatal(err)
	}
	at := []float64{0.8, 8}
	p, err := predictor.Predict(bayes.Batch{X: column(at)})
	if err != nil {
		log.Fatal(err)
	}
	for i, x := range at {
		fmt.Printf("x = %.1f: %.1f; standard deviation of the weights' part %.1f, of the noise %.1f\n",
			x, p.Mean.Data[i], math.Sqrt(p.Weight.Data[i]), math.Sqrt(p.Noise.Data[i]))
	}
	// Output:
	// x = 0.8: 1.0; standard deviation of the weights' part 0.0, of the noise 0.1
	// x = 8.0: -12.0; standard deviation of the weights' part 1.8, of the noise 0.1
}
