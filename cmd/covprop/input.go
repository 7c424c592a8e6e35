package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
)

// readTask reads the model and the distribution of its input, the
// concatenation of the uncertain inputs. What is wrong with the flags comes
// before what is wrong with the model.
func readTask(m *modelFlags, f *inputFlags, o *methodFlags) (*graph.Network, covprop.Gaussian, error) {
	d, err := m.describe()
	if err != nil {
		return nil, covprop.Gaussian{}, err
	}
	if len(d.Inputs) == 0 {
		return nil, covprop.Gaussian{}, d.Err // says so
	}
	fixed := m.fixedNames()
	var free []string
	for _, in := range d.Inputs {
		if !slices.Contains(fixed, in.Name) {
			free = append(free, in.Name)
		}
	}
	a, err := f.assign(free, fixed)
	if err == nil {
		err = d.Err
	}
	if err != nil {
		return nil, covprop.Gaussian{}, err
	}
	in, err := a.gaussian(d.Network.Inputs(), o.maxBytes())
	return d.Network, in, err
}

// An assignment says what every uncertain input is, in the model's order, as
// the flags put it. It has either std or cov.
type assignment struct {
	mean, std []string // for every input
	cov       string   // for all together
}

// assign matches the flags with the inputs that are not fixed.
func (f *inputFlags) assign(free, fixed []string) (a assignment, err error) {
	if err := f.checkInput(free, fixed); err != nil {
		return a, err
	}
	if a.mean, err = assign("--mean", f.Mean, free, fixed); err != nil {
		return a, err
	}
	if a.cov = f.Cov; a.cov == "" {
		a.std, err = assign("--std", f.Std, free, fixed)
	}
	return a, err
}

// checkInput reports an --input that is not the one input that is not fixed.
func (f *inputFlags) checkInput(free, fixed []string) error {
	switch {
	case len(free) == 0:
		return usagef("every input is fixed (--fix): there is nothing to propagate")
	case f.Input == "":
		return nil
	case slices.Contains(fixed, f.Input):
		return usagef("the input %q is both uncertain (--input) and fixed (--fix)", f.Input)
	case !slices.Contains(free, f.Input):
		return usagef("--input: %s", noSuchInput(f.Input, free))
	}
	for _, name := range free {
		if name != f.Input {
			return usagef("the input %q is neither uncertain (--input is %q) nor fixed: give --fix %s=VALUE", name, f.Input, name)
		}
	}
	return nil
}

// assign returns the argument of a repeated flag for every name. An argument
// without a name stands for the only one.
func assign(flag string, args, names, fixed []string) ([]string, error) {
	assigned := make([]string, len(names))
	for _, arg := range args {
		name, value, named := splitNamed(arg)
		switch {
		case value == "":
			return nil, usagef("%s has no value", flag)
		case !named && len(names) > 1:
			return nil, usagef("%s %s: the model has several inputs (%s): give NAME=VALUE for each, or hold the others fixed with --fix", flag, arg, quoteList(names))
		case !named:
			name = names[0]
		case slices.Contains(fixed, name):
			return nil, usagef("the input %q is both uncertain (%s) and fixed (--fix)", name, flag)
		}
		i := slices.Index(names, name)
		if i < 0 {
			return nil, usagef("%s: %s", flag, noSuchInput(name, names))
		}
		if assigned[i] != "" {
			return nil, usagef("%s gives the input %q twice", flag, name)
		}
		assigned[i] = value
	}
	for i, name := range names {
		if assigned[i] == "" {
			return nil, usagef("the input %q is neither uncertain nor fixed: give %s %s=VALUE, or --fix %s=VALUE", name, flag, name, name)
		}
	}
	return assigned, nil
}

// gaussian reads the values. inputs are those that were assigned.
func (a *assignment) gaussian(inputs []graph.TensorInfo, maxBytes int64) (covprop.Gaussian, error) {
	mean, err := concatenate("--mean", a.mean, inputs, nil)
	if err != nil {
		return covprop.Gaussian{}, err
	}
	var cov covprop.Covariance
	if a.cov != "" {
		cov, err = readCov(a.cov, len(mean), maxBytes)
	} else {
		cov, err = readStd(a.std, inputs)
	}
	if err != nil {
		return covprop.Gaussian{}, err
	}
	return covprop.NewGaussian(mean, cov)
}

// concatenate reads an argument for every input and checks each with check,
// which may be nil.
func concatenate(flag string, args []string, inputs []graph.TensorInfo, check func(values) error) ([]float64, error) {
	var all []float64
	for i, in := range inputs {
		v, err := readValues(flag, args[i], 2*in.Len+1000) // room to count what is too many
		if err != nil {
			return nil, err
		}
		if check != nil {
			if err := check(v); err != nil {
				return nil, err
			}
		}
		x, err := v.broadcast(in.Len, fmt.Sprintf("input %q (%s)", in.Name, formatShape(in.Shape)))
		if err != nil {
			return nil, err
		}
		all = append(all, x...)
	}
	return all, nil
}

// readStd returns the covariance of independent elements.
func readStd(args []string, inputs []graph.TensorInfo) (covprop.Covariance, error) {
	std, err := concatenate("--std", args, inputs, func(v values) error {
		for i, s := range v.data {
			if s < 0 {
				return v.errorAt(i, "is %v; a standard deviation must not be negative", s)
			}
			if math.IsInf(s*s, 0) {
				return v.errorAt(i, "is %v, whose square is too large for a float64", s)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return covprop.NewDiagonal(std)
}

// readCov returns the n x n covariance that arg holds.
func readCov(arg string, n int, maxBytes int64) (covprop.Covariance, error) {
	// The numbers read, the covariance and its factor while it is checked.
	if need := 3 * 8 * int64(n) * int64(n); maxBytes > 0 && need > maxBytes {
		return nil, fmt.Errorf("--cov %s: a covariance of %d x %d needs %s to read and check, more than the limit of %s: raise --max-memory or use --std",
			arg, n, n, covprop.FormatBytes(need), covprop.FormatBytes(maxBytes))
	}
	v, err := readValues("--cov", arg, 2*n*n+1000)
	if err != nil {
		return nil, err
	}
	switch len(v.data) {
	case n * n:
	case 1:
		return nil, usagef("--cov takes all %d x %d covariances, not one number: for standard deviations use --std", n, n)
	case n:
		return nil, usagef("--cov takes all %d x %d covariances, not a vector of %d numbers: for standard deviations use --std", n, n, n)
	default:
		return nil, v.errorf("has %d values, but the covariance of %d elements has %d x %d = %d", len(v.data), n, n, n, n*n)
	}
	if rows := v.rows(); rows != 1 && rows != n && rows != n*n {
		return nil, v.errorf("has the shape %s, but the covariance of %d elements is %dx%d", formatShape(v.shape), n, n, n)
	}
	cov, err := covprop.NewDense(n, v.data)
	if err != nil {
		message := strings.TrimPrefix(err.Error(), "covariance ")
		return nil, v.errorf("%s", message)
	}
	return cov, nil
}
