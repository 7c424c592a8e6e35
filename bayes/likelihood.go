package bayes

import "github.com/covprop/covprop"

// A Likelihood is the distribution of the targets given the network's outputs:
// [HeteroscedasticGaussian], [Gaussian], [StudentT], [Probit] or [Softmax].
type Likelihood interface {
	// Name is "heteroscedastic-gaussian", "gaussian", "student-t", "probit" or
	// "softmax".
	Name() string
	// check returns an error if the fields make no sense.
	check() error
	// outputs is the number of outputs it takes, targets that of the targets, and
	// noises that of its own parameters.
	outputs() int
	targets() int
	noises() int
	// secondMoments says that the expected log likelihood depends on means and
	// covariances of the outputs alone, be they Gaussian or not.
	secondMoments() bool
	// initialise writes the parameters in the beginning, for targets of variance 1.
	initialise(noise []float64)
	// checkTarget returns an error if y cannot be one.
	checkTarget(y []float64) error
	// expected returns E log p(y | f, noise) for outputs f ~ N(mean, cov) and adds
	// weight times its derivatives by the means, by every entry of cov and by the
	// noises to those of out.
	expected(out *moments, y, noise []float64, weight float64) (value float64, acc covprop.Accuracy)
	// pointwise is expected for an output that is certain: log p and weight times its
	// derivatives by the outputs and the noises, added.
	pointwise(grad, gradNoise, f, y, noise []float64, weight float64) (value float64)
}

// noisy is a likelihood with a noise of its own for every example.
type noisy interface {
	// logNoise returns the mean over the targets of the noise's log variance, for
	// outputs f.
	logNoise(f []float64) float64
}

// moments are those of the outputs for one example, and the gradients.
type moments struct {
	n, ld     int
	mean, cov []float64 // (n), (n, ld); cov is the variances, (n), if dense is not set
	dense     bool
	gradMean  []float64
	gradCov   []float64 // as cov
	gradNoise []float64
	space     []float64 // scratch
}

// at returns the covariance of outputs i and j.
func (m *moments) at(i, j int) float64 {
	switch {
	case m.dense:
		return m.cov[i*m.ld+j]
	case i == j && m.cov != nil:
		return m.cov[i]
	}
	return 0
}

// addCov adds g, the derivative by the covariance of outputs i and j, which
// stands twice in the matrix where they differ.
func (m *moments) addCov(i, j int, g float64) {
	switch {
	case m.dense && i == j:
		m.gradCov[i*m.ld+i] += g
	case m.dense:
		m.gradCov[i*m.ld+j] += 0.5 * g
		m.gradCov[j*m.ld+i] += 0.5 * g
	case i == j && m.gradCov != nil:
		m.gradCov[i] += g
	}
}
