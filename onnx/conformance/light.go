package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"gonum.org/v1/gonum/floats"

	"github.com/covprop/covprop/onnx"
)

// walkLight runs the light models in dir: full architectures whose weights are
// constants. NAME.onnx passes if its forward pass at k/n, k = 0 .. n-1, over
// the n elements of the input is finite and the tensor in NAME_output_0.pb, if
// there is one, to meanTol.
func walkLight(dir string, r *report) error {
	files := glob(dir, "*.onnx")
	if len(files) == 0 {
		return fmt.Errorf("there are no models in %s", dir)
	}
	for _, f := range files {
		r.add(guard(strings.TrimSuffix(filepath.Base(f), ".onnx"), func(res *result) { runLight(f, res) }))
		runtime.GC() // the weights of one model take more than a gigabyte
	}
	return nil
}

func runLight(file string, res *result) {
	data, err := os.ReadFile(file)
	if err != nil {
		res.fail("%v", err)
		return
	}
	net, err := onnx.Read(bytes.NewReader(data))
	if err != nil {
		res.fail("%v", err)
		return
	}
	x := make([]float64, net.InputDim())
	for k := range x {
		x[k] = float64(float32(k) / float32(len(x)))
	}
	y := make([]float64, net.OutputDim())
	if err := net.EvalTo(y, x); err != nil {
		res.fail("%v", err)
		return
	}
	for k, v := range y {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			res.fail("element %d of the output is %v", k, v)
			return
		}
	}
	want, err := readTensor(strings.TrimSuffix(file, ".onnx") + "_output_0.pb")
	switch {
	case err != nil:
		res.note = err.Error()
	case len(want.Values) != len(y):
		res.fail("the output has %d elements, want %d", len(y), len(want.Values))
	default:
		off := floats.Distance(y, want.Values, math.Inf(1)) / floats.Norm(want.Values, math.Inf(1))
		if res.note = fmt.Sprintf("differs from the stored output by %.2g of its largest element", off); !(off <= meanTol(want.DType)) {
			res.status = failed
		}
	}
}
