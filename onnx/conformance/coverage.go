package main

import (
	"errors"
	"strings"

	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
)

// nodeUse is an operator and how its rule propagated it.
type nodeUse struct{ op, rule, status string }

func uses(net *graph.Network) []nodeUse {
	var u []nodeUse
	for _, n := range net.Nodes() {
		u = append(u, nodeUse{n.Op, n.Rule, n.Accuracy.Status.String()})
	}
	return u
}

func dtypeName(d int32) string {
	return strings.ToLower(onnxpb.TensorProto_DataType(d).String())
}

func writeCoverage(string, []result) error { return errors.New("not implemented") }

func walkLight(string, *report) error { return errors.New("not implemented") }
