package bench

import (
	"bytes"
	"context"
	_ "embed" // of the network
	"fmt"
	"math/rand/v2"
	"runtime"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/onnx"
)

// acasModel is network 1_1 of ACAS Xu, as in testdata/models, where its source
// stands; its licence is acasxu/COPYING.txt.
//
//go:embed acasxu/acasxu_1_1.onnx
var acasModel []byte

// A batch has acasInputs inputs, whose elements have the standard deviation
// acasStd and means between -acasRange and acasRange, the extent of the
// network's normalised inputs.
const acasInputs, acasStd, acasRange = 1000, .01, .5

// acas adds batches of inputs of ACAS Xu on one thread and on all.
func (s *suite) acas(context.Context) error {
	net, err := onnx.Read(bytes.NewReader(acasModel))
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(5, 5))
	n := net.InputDim()
	in := make([]covprop.Gaussian, s.size(acasInputs, 4))
	for i := range in {
		mean, v := make([]float64, n), make(covprop.Diagonal, n)
		for k := range mean {
			mean[k], v[k] = acasRange*(2*rng.Float64()-1), acasStd*acasStd
		}
		in[i] = covprop.Gaussian{Mean: mean, Cov: v}
	}
	one := s.batch("acas_batch_1t", net.With(graph.Options{Threads: 1}), in, func(*task) string { return "" })
	s.batch("acas_batch", net, in, func(t *task) string {
		return fmt.Sprintf("on %d threads; %s", runtime.GOMAXPROCS(0), times(one.over(t), "one thread"))
	})
	return nil
}

// batch adds a batch, as inputs a second.
func (s *suite) batch(name string, net *graph.Network, in []covprop.Gaussian, remark func(t *task) string) *task {
	dst := make([]covprop.Result, len(in))
	t := s.time(func(ctx context.Context) error { return net.PropagateBatch(ctx, dst, in) })
	s.result(name, "inputs/s", func() (float64, string) { return float64(len(in)) / t.ms() * 1e3, remark(t) })
	return t
}
