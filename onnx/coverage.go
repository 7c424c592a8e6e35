package onnx

import (
	"maps"
	"slices"
)

// An Operator says how the package treats an operator of the default domain.
type Operator struct {
	Name  string
	Since int // the first operator set of which nodes are supported
	// Rule is the rule that propagates the operator: "activation" for all
	// elementwise functions. It is "" if the operator is supported for
	// constants only.
	Rule string
}

// Operators returns the operators that the package knows, by name.
func Operators() []Operator {
	var ops []Operator
	for _, name := range slices.Sorted(maps.Keys(table)) {
		o := Operator{Name: name, Since: max(table[name].since, oldestOpset)}
		if table[name].rule != nil {
			o.Rule = table[name].kind
		}
		ops = append(ops, o)
	}
	return ops
}
