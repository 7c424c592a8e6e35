package reproduce

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/dataset"
)

// reference is the network's definition in plain loops over pixels, in
// float64: the logits of a picture.
func reference(n *LeNet, image []float64) []float64 {
	w := n.Width
	x := image
	x = plainConv(x, 1, 28, n.stages[0], w, 5, 1, 2)
	relu(x)
	x = plainConv(x, w, 28, n.stages[1], w, 2, 2, 0)
	x = plainConv(x, w, 14, n.stages[2], 2*w, 5, 1, 2)
	relu(x)
	x = plainConv(x, 2*w, 14, n.stages[3], 2*w, 2, 2, 0)
	x = plainLinear(x, n.stages[4], 32*w)
	relu(x)
	return plainLinear(x, n.stages[5], 10)
}

// plainConv is y[o,i,j] = b[o] + sum_{c,u,v} w[o,c,u,v] x[c, i s + u - pad, j s + v - pad].
func plainConv(x []float64, inC, side int, s stage, outC, kernel, stride, pad int) []float64 {
	out := (side+2*pad-kernel)/stride + 1
	var y []float64
	for o := range outC {
		for i := range out {
			for j := range out {
				sum := float64(s.b[o])
				for c := range inC {
					for u := range kernel {
						for v := range kernel {
							r, q := i*stride+u-pad, j*stride+v-pad
							if r >= 0 && r < side && q >= 0 && q < side {
								sum += float64(s.w[((o*inC+c)*kernel+u)*kernel+v]) * x[(c*side+r)*side+q]
							}
						}
					}
				}
				y = append(y, sum)
			}
		}
	}
	return y
}

func plainLinear(x []float64, s stage, out int) []float64 {
	y := make([]float64, out)
	for o := range y {
		y[o] = float64(s.b[o])
		for k, v := range x {
			y[o] += float64(s.w[o*len(x)+k]) * v
		}
	}
	return y
}

func relu(x []float64) {
	for i := range x {
		x[i] = math.Max(x[i], 0)
	}
}

// plainLoss is the sum of the cross-entropies of the pictures.
func plainLoss(n *LeNet, data *dataset.Images) (loss float64) {
	for i, label := range data.Labels {
		x := make([]float64, dataset.MNISTPixels)
		Standardize(x, data.Image(i))
		y := reference(n, x)
		sum := 0.
		for _, v := range y {
			sum += math.Exp(v - y[label])
		}
		loss += math.Log(sum)
	}
	return loss
}

// noise returns pictures of random pixels with random labels.
func noise(n int) *dataset.Images {
	rng := rand.New(rand.NewPCG(5, 6))
	d := &dataset.Images{Pixels: make([]byte, n*dataset.MNISTPixels), Labels: make([]byte, n)}
	for i := range d.Pixels {
		d.Pixels[i] = byte(rng.IntN(256))
	}
	for i := range d.Labels {
		d.Labels[i] = byte(rng.IntN(10))
	}
	return d
}

func mustLeNet(t testing.TB, width int) *LeNet {
	t.Helper()
	n, err := NewLeNet(width, 3)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// loaded returns a pass with the pictures and their labels.
func loaded(n *LeNet, data *dataset.Images) (*pass, []byte) {
	p, labels := newPass(n, data.Len()), make([]byte, data.Len())
	index := make([]int, data.Len())
	for i := range index {
		index[i] = i
	}
	p.load(data, index, labels)
	return p, labels
}

func TestForwardIsTheDefinition(t *testing.T) {
	n := mustLeNet(t, 2)
	data := noise(3)
	net, err := n.Network()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := loaded(n, data)
	logits := p.forward()
	for j := range data.Len() {
		x, y := make([]float64, dataset.MNISTPixels), make([]float64, 10)
		Standardize(x, data.Image(j))
		if err := net.EvalTo(y, x); err != nil {
			t.Fatal(err)
		}
		want := reference(n, x)
		scale := 0.
		for _, v := range want {
			scale = math.Max(scale, math.Abs(v))
		}
		for c, v := range want {
			// The same sums of up to 784 terms in another order.
			if math.Abs(y[c]-v) > 1e-13*scale {
				t.Errorf("picture %d, logit %d: the network gives %v, want %v", j, c, y[c], v)
			}
			// Six layers in float32, each good to a few units of 2^-24.
			if got := float64(logits[c*3+j]); math.Abs(got-v) > 1e-5*scale {
				t.Errorf("picture %d, logit %d: the forward pass gives %v, want %v", j, c, got, v)
			}
		}
	}
}

// TestGradient compares the gradient with central differences of the plain
// definition. Relative to the largest derivative in a stage's weights or biases
// the gradient is good to 1e-5 (float32), and so are the differences, unless a
// kink of one of the 10,000 ReLUs lies within a step. The step is the
// difference of two float32, which is exact. The tolerance leaves room for one
// kink.
func TestGradient(t *testing.T) {
	n := mustLeNet(t, 2)
	data := noise(3)
	p, labels := loaded(n, data)
	p.forward()
	grad := make([]float32, len(n.params))
	const scale = 0.25
	loss := p.backward(grad, labels, scale)
	if want := plainLoss(n, data); math.Abs(loss-want) > 1e-5*want {
		t.Errorf("the cross-entropies sum to %v, want %v", loss, want)
	}
	rng := rand.New(rand.NewPCG(7, 8))
	check := func(name string, params, grad []float32) {
		t.Helper()
		var got, want []float64
		largest := 0.
		for range min(12, len(params)) {
			i := rng.IntN(len(params))
			const h = 1e-6
			old := params[i]
			params[i] = old + h
			up, high := plainLoss(n, data), float64(params[i])
			params[i] = old - h
			down, low := plainLoss(n, data), float64(params[i])
			params[i] = old
			got = append(got, float64(grad[i]))
			want = append(want, scale*(up-down)/(high-low))
			largest = math.Max(largest, math.Abs(want[len(want)-1]))
		}
		if largest == 0 {
			t.Errorf("%s: all derivatives are zero: the test sees nothing", name)
		}
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-4*largest {
				t.Errorf("%s: derivative %v, want %v", name, got[i], want[i])
			}
		}
	}
	n.bind(grad, func(s *stage, dw, db []float32) {
		check(s.name+" weights", s.w, dw)
		check(s.name+" bias", s.b, db)
	})
}
