package onnx

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// parseEinsum reads the equation of a node, with its inputs as terms.
func parseEinsum(n *node) (*einsum, error) {
	equation := strings.ReplaceAll(n.stringAttr("equation", ""), " ", "")
	left, right, explicit := strings.Cut(equation, "->")
	inputs := strings.Split(left, ",")
	if len(inputs) != len(n.in) {
		return nil, fmt.Errorf("the equation %q is not for %d inputs", equation, len(n.in))
	}
	e := &einsum{size: map[int]int{}}
	dots := 0 // axes of the longest ellipsis
	for i, v := range n.in {
		if v == nil {
			return nil, fmt.Errorf("input %d is missing", i)
		}
		labels, err := parseLabels(inputs[i], len(v.shape))
		if err != nil {
			return nil, fmt.Errorf("%w in the equation %q", err, equation)
		}
		if strings.Contains(inputs[i], ".") {
			dots = max(dots, len(v.shape)-len(inputs[i])+3)
		}
		if err := e.add(term{v: v, labels: labels, shape: v.shape}); err != nil {
			return nil, err
		}
	}
	if !explicit {
		e.out = implicitOutput(left, dots)
		return e, nil
	}
	rank := len(right)
	if strings.Contains(right, ".") {
		rank += dots - 3
	} else if dots > 0 {
		return nil, fmt.Errorf("the output leaves out the ellipsis in the equation %q", equation)
	}
	var err error
	if e.out, err = parseLabels(right, rank); err != nil {
		return nil, fmt.Errorf("%w in the equation %q", err, equation)
	}
	for i, l := range e.out {
		if _, ok := e.size[l]; !ok || slices.Contains(e.out[:i], l) {
			return nil, fmt.Errorf("the output of the equation %q has an axis twice or from nowhere", equation)
		}
	}
	return e, nil
}

// parseLabels returns the labels of a tensor of the given rank.
func parseLabels(s string, rank int) ([]int, error) {
	labels := []int{}
	before, after, dots := strings.Cut(s, "...")
	if have := len(before) + len(after); have > rank || !dots && have != rank {
		return nil, fmt.Errorf("%q does not fit a tensor of %d dimensions", s, rank)
	}
	for i, c := range before + after {
		if c > unicode.MaxASCII || !unicode.IsLetter(c) {
			return nil, fmt.Errorf("%q is not a letter", c)
		}
		if i == len(before) {
			labels = append(labels, ellipsis(rank-len(before)-len(after))...)
		}
		labels = append(labels, int(c))
	}
	if after == "" {
		labels = append(labels, ellipsis(rank-len(before))...)
	}
	return labels, nil
}

// ellipsis returns the labels of n axes that have no letter.
func ellipsis(n int) []int {
	labels := make([]int, n)
	for i := range labels {
		labels[i] = i - n
	}
	return labels
}

// implicitOutput has the axes without a letter and then the letters that occur
// once, in alphabetical order: capitals first.
func implicitOutput(inputs string, dots int) []int {
	out := ellipsis(dots)
	for c := 'A'; c <= 'z'; c++ {
		if strings.Count(inputs, string(c)) == 1 {
			out = append(out, int(c))
		}
	}
	return out
}

func einsumShape(n *node) ([][]int, error) {
	e, err := parseEinsum(n)
	if err != nil {
		return nil, err
	}
	return [][]int{e.sizes(e.out)}, nil
}
