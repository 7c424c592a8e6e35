package activation

import "math"

// LogSigmoid returns log(1/(1 + e^{-x})) = -softplus(-x), named "log_sigmoid".
func LogSigmoid() Activation { return numeric{logSigmoid{}} }

type logSigmoid struct{}

func (logSigmoid) Name() string      { return "log_sigmoid" }
func (logSigmoid) Kinks() []float64  { return nil }
func (logSigmoid) breaks() []float64 { return origin }
func (logSigmoid) strip() float64    { return math.Pi }

func (logSigmoid) Apply(x float64) float64      { return -softplus{}.Apply(-x) }
func (logSigmoid) Derivative(x float64) float64 { return logistic(-x) }

func (logSigmoid) difference(mu, delta float64) (d, size float64) {
	d, size = softplus{}.difference(-mu, -delta)
	return -d, size
}

// approximant: the coefficients of -g(-x) at mu are (-1)^{k+1} times those of g
// at -mu.
func (logSigmoid) approximant(h []float64, mu, sigma float64) (tail float64) {
	tail = softplus{}.approximant(h, -mu, sigma)
	for k := 0; k < len(h); k += 2 {
		h[k] = -h[k]
	}
	return tail
}
func (logSigmoid) approximantError() float64            { return softplusError }
func (logSigmoid) deviationBound(sigma float64) float64 { return sigma }
