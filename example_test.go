package covprop_test

import (
	"context"
	"fmt"
	"log"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/onnx"
)

// A power plant's output, predicted from four noisy sensors.
func Example() {
	net, err := onnx.ReadFile("testdata/models/power_gelu.onnx")
	if err != nil {
		log.Fatal(err)
	}
	variance := covprop.Diagonal{0.0015, 0.0005, 0.0095, 0.0163}
	in := covprop.Gaussian{Mean: []float64{1.354, 0.204, -1.029, -2.151}, Cov: variance}
	out, err := net.Propagate(context.Background(), in)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f ± %.2f MW (%v: %s)\n", 454.365+17.066*out.Mean[0], 17.066*out.Std()[0], out.Accuracy.Status, out.Accuracy.Reason)
	// Output:
	// 437.77 ± 0.50 MW (approximate: Gaussian closure)
}
