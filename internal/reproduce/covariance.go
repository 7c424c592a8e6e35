package reproduce

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/special"
	"github.com/covprop/covprop/report"
)

// Covariance repeats figure 2 of Wright, Nakahira & Moura (AISTATS 2024): the
// covariance of max(Y1, 0) and max(Y2, 0), where Y1 and Y2 have unit variances
// and the correlation 0.5, over their means mu1 and mu2 in [-5, 5], and the
// errors of its approximations.
type Covariance struct {
	Points int // along each side, at least 2
	// Runs is the number of points (mu1, mu2), uniform on the square, at which
	// the exact covariance is compared with quadrature; Seed draws them.
	Runs int
	Seed uint64
}

const (
	figureRho  = 0.5
	figureSide = 5 // the means lie in [-figureSide, figureSide]
)

// A CovarianceReport is what Covariance found. Values run over mu2, and within
// that over mu1.
type CovarianceReport struct {
	Mu             []float64 // of both sides
	Exact          []float64
	Approximations []CovarianceApproximation
	// Check is the largest difference between exact values and quadrature.
	Check float64
}

// A CovarianceApproximation is an approximation of the covariance.
type CovarianceApproximation struct {
	Name, Title string
	Values      []float64
	MaxError    float64    // the largest magnitude of an error
	At          [2]float64 // mu1 and mu2 of that
}

// approximations of the covariance of two ReLUs whose inputs have the means
// mu1 and mu2, unit variances and the correlation rho.
var approximations = []struct {
	name, title string
	of          func(mu1, mu2, rho float64) float64
}{
	{"k1", "K = 1", func(mu1, mu2, rho float64) float64 { return reluSeries(1, mu1, mu2, rho) }},
	{"k2", "K = 2", func(mu1, mu2, rho float64) float64 { return reluSeries(2, mu1, mu2, rho) }},
	{"k4", "K = 4", func(mu1, mu2, rho float64) float64 { return reluSeries(4, mu1, mu2, rho) }},
	{"wu", "Wu et al. 2019", wu},
}

// reluSeries is the series in the correlation, cut off after the term of order
// k (Wright et al. 2024, theorem 1).
func reluSeries(k int, mu1, mu2, rho float64) float64 {
	h1, h2 := make([]float64, k+1), make([]float64, k+1)
	relu := activation.ReLU()
	relu.Coefficients(h1, mu1, 1)
	relu.Coefficients(h2, mu2, 1)
	return activation.SeriesCovariance(h1, h2, rho)
}

// wu is the approximation of Wu et al. (2019), Deterministic Variational
// Inference for Robust Bayesian Neural Networks, which their public program
// computes so: the asymptote rho Phi(mu1) Phi(mu2), and for the rest R the
// exponential of the Taylor polynomial of log R of second order at mu1 = mu2 = 0,
//
//	R ~ rho alpha/(2 pi) exp(-(mu1^2 + mu2^2)/(2 sxx) + mu1 mu2/sxy),
//	alpha = asin rho - rho/(1 + q),   1/sxx = rho/(alpha (1 + q)),
//	1/sxy = (asin rho - rho)/(alpha rho),   q = sqrt(1 - rho^2).
func wu(mu1, mu2, rho float64) float64 {
	q := math.Sqrt(1 - rho*rho)
	alpha := math.Asin(rho) - rho/(1+q)
	sxx := alpha * (1 + q) / rho
	sxy := alpha * rho / (math.Asin(rho) - rho)
	rest := alpha / (2 * math.Pi) * math.Exp(-(mu1*mu1+mu2*mu2)/(2*sxx)+mu1*mu2/sxy)
	return rho * (special.CDF(mu1)*special.CDF(mu2) + rest)
}

// Check returns an error if c cannot be run.
func (c *Covariance) Check() error {
	switch {
	case c.Points < 2 || c.Points > 2001:
		return fmt.Errorf("the number of points must be from 2 to 2001, not %d", c.Points)
	case c.Runs < 0:
		return fmt.Errorf("the number of runs must not be negative, as %d is", c.Runs)
	}
	return nil
}

// Run does the work.
func (c *Covariance) Run(ctx context.Context) (*CovarianceReport, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	r := &CovarianceReport{Mu: make([]float64, c.Points)}
	for i := range r.Mu {
		r.Mu[i] = figureSide * (2*float64(i)/float64(c.Points-1) - 1)
	}
	for _, a := range approximations {
		r.Approximations = append(r.Approximations, CovarianceApproximation{Name: a.name, Title: a.title})
	}
	for _, mu2 := range r.Mu {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, mu1 := range r.Mu {
			r.add(mu1, mu2)
		}
	}
	rng := rand.New(rand.NewPCG(c.Seed, 0))
	for range c.Runs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		mu1, mu2 := figureSide*(2*rng.Float64()-1), figureSide*(2*rng.Float64()-1)
		r.Check = math.Max(r.Check, math.Abs(reluCovariance(mu1, mu2, figureRho)-reluQuadrature(mu1, mu2, figureRho)))
	}
	return r, nil
}

// add adds a point.
func (r *CovarianceReport) add(mu1, mu2 float64) {
	exact := reluCovariance(mu1, mu2, figureRho)
	r.Exact = append(r.Exact, exact)
	for i := range r.Approximations {
		a := &r.Approximations[i]
		v := approximations[i].of(mu1, mu2, figureRho)
		a.Values = append(a.Values, v)
		if e := math.Abs(v - exact); e > a.MaxError {
			a.MaxError, a.At = e, [2]float64{mu1, mu2}
		}
	}
}

// reluCovariance is the covariance as covprop computes it near |rho| = 1.
func reluCovariance(mu1, mu2, rho float64) float64 {
	relu := activation.ReLU()
	cov, _ := activation.Covariance(relu, relu, activation.Pair{Mu1: mu1, Mu2: mu2, Sigma1: 1, Sigma2: 1, Rho: rho})
	return cov
}

// reluQuadrature is the covariance by another way: given Y1 = mu1 + z, Y2 is
// N(mu2 + rho z, q^2), q = sqrt(1 - rho^2), so
//
//	Cov = int phi(z) (max(mu1 + z, 0) - m1) m(mu2 + rho z, q) dz,   m(mu, s) = mu Phi(mu/s) + s phi(mu/s),
//
// with m1 = m(mu1, 1). Gauss-Legendre on panels of length 1/2 at most, which
// the kink at z = -mu1 splits, up to |z| = 12, beyond which phi is below 1e-31.
func reluQuadrature(mu1, mu2, rho float64) float64 {
	const end, panel = 12, 0.5
	mean := func(mu, s float64) float64 { return mu*special.CDF(mu/s) + s*special.Density(mu/s) }
	m1, q := mean(mu1, 1), math.Sqrt(1-rho*rho)
	x, w := special.GaussLegendre(16)
	sum := 0.0
	for _, part := range [2][2]float64{{-end, -mu1}, {-mu1, end}} {
		n := math.Ceil((part[1] - part[0]) / panel)
		half := (part[1] - part[0]) / n / 2
		for k := range int(n) {
			centre := part[0] + half*float64(2*k+1)
			for i := range x {
				z := centre + half*x[i]
				sum += half * w[i] * special.Density(z) * (math.Max(mu1+z, 0) - m1) * mean(mu2+rho*z, q)
			}
		}
	}
	return sum
}

// Maps returns pictures of the covariances and, below, of the magnitudes of the
// errors.
func (r *CovarianceReport) Maps() []*report.Map {
	values := &report.Map{
		Title:  "Covariance of two ReLUs: inputs with unit variances and correlation 0.5",
		XLabel: "mean μ1", YLabel: "mean μ2", ZLabel: "covariance", X: r.Mu, Y: r.Mu,
		Z: [][]float64{r.Exact}, Labels: []string{"exact"},
	}
	errors := &report.Map{
		Title: "Magnitude of the error", XLabel: values.XLabel, YLabel: values.YLabel, ZLabel: "|error|", X: r.Mu, Y: r.Mu,
		Z: [][]float64{nil}, Labels: []string{""}, Log: true, Min: 1e-8, Max: 0.1,
	}
	for _, a := range r.Approximations {
		values.Z, values.Labels = append(values.Z, a.Values), append(values.Labels, a.Title)
		e := make([]float64, len(a.Values))
		for i, v := range a.Values {
			// Where the two agree to the last bit the error is below the
			// scale, as most others in the corners are.
			e[i] = math.Max(math.Abs(v-r.Exact[i]), math.SmallestNonzeroFloat64)
		}
		errors.Z, errors.Labels = append(errors.Z, e), append(errors.Labels, fmt.Sprintf("%s: up to %.1e", a.Title, a.MaxError))
	}
	return []*report.Map{values, errors}
}
