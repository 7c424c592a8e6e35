package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop/internal/onnxpb"
)

const (
	oldestOpset = 6
	newestOpset = 28
)

// decode turns the bytes of a file into nodes and values, sorts the nodes and
// checks that every tensor is made exactly once. Tensor data stays encoded.
func (m *model) decode(data []byte) error {
	left := maxParts
	var mp onnxpb.ModelProto
	if err := countParts(data, mp.ProtoReflect().Descriptor(), &left, maxDepth); errors.Is(err, errWire) {
		return errors.New("is not an ONNX model, or is truncated")
	} else if err != nil {
		return fmt.Errorf("is not a model that can be read: %w", err)
	}
	options := proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxDepth}
	if err := options.Unmarshal(data, &mp); err != nil {
		return errors.New("is not an ONNX model, or is truncated")
	}
	g := mp.GetGraph()
	if g == nil || len(g.GetOutput()) == 0 {
		return errors.New("is not an ONNX model: it has no graph with outputs")
	}
	if err := m.setOpset(&mp); err != nil {
		return err
	}
	m.values = map[string]*value{}
	for _, step := range []func(*onnxpb.GraphProto) error{m.addTensors, m.addNodes, m.connect, m.addOutputs} {
		if err := step(g); err != nil {
			return err
		}
	}
	return m.sort()
}

// setOpset checks the version of the default operator set.
func (m *model) setOpset(mp *onnxpb.ModelProto) error {
	found := false
	for _, o := range mp.GetOpsetImport() {
		if !isDefault(o.GetDomain()) {
			continue
		}
		v := o.GetVersion()
		switch {
		case v < oldestOpset:
			return fmt.Errorf("uses opset %d, older than %d, the oldest supported: convert the model to a newer one", v, oldestOpset)
		case v > newestOpset:
			return fmt.Errorf("uses opset %d, newer than %d, the newest supported", v, newestOpset)
		case found && m.opset != int(v):
			return fmt.Errorf("imports two versions of the default operator set, %d and %d", m.opset, v)
		}
		m.opset, found = int(v), true
	}
	if !found {
		return errors.New("does not say which version of the default operator set it uses")
	}
	return nil
}

func isDefault(domain string) bool { return domain == "" || domain == "ai.onnx" }

// addTensors adds the initializers and the inputs. An input that has an
// initializer is a constant.
func (m *model) addTensors(g *onnxpb.GraphProto) error {
	for _, t := range g.GetInitializer() {
		v, err := m.add(t.GetName())
		if err != nil {
			return err
		}
		v.raw, v.dtype = t, dtype(t.GetDataType())
	}
	if sparse := g.GetSparseInitializer(); len(sparse) > 0 {
		return fmt.Errorf("the initializer %q is sparse, which is not supported", sparse[0].GetValues().GetName())
	}
	seen := map[string]bool{}
	for _, in := range g.GetInput() {
		if seen[in.GetName()] {
			return fmt.Errorf("the input %q is listed twice", in.GetName())
		}
		seen[in.GetName()] = true
		v := m.values[in.GetName()]
		if v == nil {
			var err error
			if v, err = m.add(in.GetName()); err != nil {
				return err
			}
		}
		v.info = in
		if _, fixed := m.fix[v.name]; fixed || v.raw == nil {
			v.raw = nil
			m.inputs = append(m.inputs, v)
		}
	}
	return nil
}

// addNodes adds the nodes and the tensors they make.
func (m *model) addNodes(g *onnxpb.GraphProto) error {
	for _, p := range g.GetNode() {
		n := &node{m: m, name: p.GetName(), op: p.GetOpType(), fileOp: p.GetOpType(), members: 1}
		if !isDefault(p.GetDomain()) {
			n.domain = p.GetDomain()
		}
		for _, name := range p.GetOutput() {
			if n.name == "" {
				n.name = name
			}
			if name == "" {
				n.out = append(n.out, &value{by: n})
				continue
			}
			v, err := m.add(name)
			if err != nil {
				return n.wrap(err)
			}
			v.by = n
			n.out = append(n.out, v)
		}
		if len(n.out) == 0 {
			return n.errorf("has no outputs")
		}
		n.attrs = make(map[string]*onnxpb.AttributeProto, len(p.GetAttribute()))
		for _, a := range p.GetAttribute() {
			if n.attrs[a.GetName()] != nil {
				return n.errorf("has the attribute %q twice", a.GetName())
			}
			n.attrs[a.GetName()] = a
		}
		m.nodes = append(m.nodes, n)
	}
	return nil
}

// connect links the nodes to the tensors they use.
func (m *model) connect(g *onnxpb.GraphProto) error {
	for i, p := range g.GetNode() {
		n := m.nodes[i]
		for _, name := range p.GetInput() {
			if name == "" {
				n.in = append(n.in, nil)
				continue
			}
			v := m.values[name]
			if v == nil {
				return n.errorf("its input %q is neither an input of the model nor an initializer nor made by a node", name)
			}
			v.users = append(v.users, n)
			n.in = append(n.in, v)
		}
	}
	for _, info := range g.GetValueInfo() {
		if v := m.values[info.GetName()]; v != nil && v.info == nil {
			v.info = info
		}
	}
	return nil
}

// addOutputs marks the outputs.
func (m *model) addOutputs(g *onnxpb.GraphProto) error {
	for _, o := range g.GetOutput() {
		v := m.values[o.GetName()]
		switch {
		case v == nil:
			return fmt.Errorf("no node makes the output %q", o.GetName())
		case v.output:
			return fmt.Errorf("the output %q is listed twice", o.GetName())
		}
		v.output = true
		if v.info == nil {
			v.info = o
		}
		m.outputs = append(m.outputs, v)
	}
	return nil
}
