package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
)

// gaussian returns the distribution of the network's input, the concatenation
// of its uncertain inputs, as the flags give it.
func (f *inputFlags) gaussian(net *graph.Network, fixed []string, maxBytes int64) (covprop.Gaussian, error) {
	inputs := net.Inputs()
	if err := f.checkInput(inputs, fixed); err != nil {
		return covprop.Gaussian{}, err
	}
	mean, err := concatenate("--mean", f.Mean, inputs, fixed, nil)
	if err != nil {
		return covprop.Gaussian{}, err
	}
	var cov covprop.Covariance
	if f.Cov != "" {
		cov, err = readCov(f.Cov, len(mean), maxBytes)
	} else {
		cov, err = readStd(f.Std, inputs, fixed)
	}
	if err != nil {
		return covprop.Gaussian{}, err
	}
	return covprop.NewGaussian(mean, cov)
}

// checkInput reports an --input that is not the network's one uncertain input.
func (f *inputFlags) checkInput(inputs []graph.TensorInfo, fixed []string) error {
	if f.Input == "" {
		return nil
	}
	if slices.Contains(fixed, f.Input) {
		return usagef("the input %q is both uncertain (--input) and fixed (--fix)", f.Input)
	}
	found := false
	for _, in := range inputs {
		found = found || in.Name == f.Input
	}
	if !found {
		return usagef("--input: %s", noSuchInput(f.Input, namesOf(inputs)))
	}
	for _, in := range inputs {
		if in.Name != f.Input {
			return usagef("the input %q is neither uncertain (--input is %q) nor fixed: give --fix %s=VALUE", in.Name, f.Input, in.Name)
		}
	}
	return nil
}

// concatenate reads the values of a flag for every input, in order, and
// checks each value with check, which may be nil.
func concatenate(flag string, args []string, inputs []graph.TensorInfo, fixed []string, check func(values) error) ([]float64, error) {
	assigned, err := assign(flag, args, inputs, fixed)
	if err != nil {
		return nil, err
	}
	var all []float64
	for i, in := range inputs {
		v, err := readValues(flag, assigned[i], 2*in.Len+1000) // room to count what is too many
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

// assign returns the argument of a repeated flag for every input. An argument
// without a name stands for the only input.
func assign(flag string, args []string, inputs []graph.TensorInfo, fixed []string) ([]string, error) {
	names, assigned := namesOf(inputs), make([]string, len(inputs))
	for _, arg := range args {
		name, value, named := splitNamed(arg)
		switch {
		case value == "":
			return nil, usagef("%s has no value", flag)
		case !named && len(inputs) > 1:
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

func namesOf(inputs []graph.TensorInfo) []string {
	names := make([]string, len(inputs))
	for i, in := range inputs {
		names[i] = in.Name
	}
	return names
}

// readStd returns the covariance of independent elements.
func readStd(args []string, inputs []graph.TensorInfo, fixed []string) (covprop.Covariance, error) {
	std, err := concatenate("--std", args, inputs, fixed, func(v values) error {
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

// readTask reads the model and the distribution of its input.
func readTask(m *modelFlags, f *inputFlags, o *methodFlags) (*graph.Network, covprop.Gaussian, error) {
	net, err := m.load()
	if err != nil {
		return nil, covprop.Gaussian{}, err
	}
	in, err := f.gaussian(net, m.fixedNames(), o.maxBytes())
	return net, in, err
}
