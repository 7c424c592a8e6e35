package onnx_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// seedModels are the small models of the repository.
func seedModels(t testing.TB) (models [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shipped, "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) < 1<<17 {
			models = append(models, data)
		}
	}
	if len(models) < 4 {
		t.Fatalf("%d small models in %s", len(models), shipped)
	}
	return models
}

// mutated limits what a mutated model may take.
var mutated = onnx.Importer{MaxBytes: 1 << 20, MaxElements: 1 << 16}

// TestMutatedModels reads a few thousand models that were damaged: none may
// panic or take long, and what is accepted must evaluate and propagate.
func TestMutatedModels(t *testing.T) {
	models := seedModels(t)
	rng := rand.New(rand.NewPCG(7, 8))
	accepted, refused := 0, 0
	for i := range 4000 {
		data := mutate(rng, models[i%len(models)])
		start := time.Now()
		if readMutated(t, data) {
			accepted++
		} else {
			refused++
		}
		if d := time.Since(start); d > 20*time.Second { // takes milliseconds
			t.Fatalf("mutation %d took %v", i, d)
		}
	}
	if accepted < 400 || refused < 400 {
		t.Errorf("%d mutations were accepted and %d refused: the test does not reach both", accepted, refused)
	}
}

// FuzzMutate damages a model of the repository in a way drawn from the seed.
func FuzzMutate(f *testing.F) {
	models := seedModels(f)
	for i := range models {
		f.Add(uint(i), uint64(i))
	}
	f.Fuzz(func(t *testing.T, model uint, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 9))
		readMutated(t, mutate(rng, models[model%uint(len(models))]))
	})
}

// readMutated reads a model and, if it is accepted, runs it. Reading may
// allocate 64 bytes for each of the file and its limit, and a little: the
// decoded model, the numbers widened, and what is computed from them, all of
// it several times over.
func readMutated(t *testing.T, data []byte) bool {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	net, err := mutated.Read(bytes.NewReader(data))
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64*uint64(mutated.MaxBytes) {
		t.Errorf("reading %d bytes allocated %d", len(data), took)
	}
	if err != nil {
		var me *covprop.ModelError
		if !errors.As(err, &me) {
			t.Errorf("the error is %v (%T)", err, err)
		}
		return false
	}
	x := make([]float64, net.InputDim())
	if err := net.EvalTo(make([]float64, net.OutputDim()), x); err != nil {
		t.Errorf("the network cannot be evaluated: %v", err)
	}
	cov := make(covprop.Diagonal, len(x))
	for i := range cov {
		cov[i] = 1e-4
	}
	diagonal := net.With(graph.Options{Diagonal: true, Threads: 1, MaxBytes: 1 << 26})
	r, err := diagonal.Propagate(t.Context(), covprop.Gaussian{Mean: x, Cov: cov})
	var me *covprop.ModelError
	var memory *covprop.MemoryError
	if err != nil && !errors.As(err, &me) && !errors.As(err, &memory) {
		t.Errorf("the network cannot be propagated: %v", err)
	}
	if err == nil && len(r.Mean) != net.OutputDim() {
		t.Errorf("%d means for %d outputs", len(r.Mean), net.OutputDim())
	}
	return true
}

// mutate returns a damaged copy of a model.
func mutate(rng *rand.Rand, model []byte) []byte {
	data := slices.Clone(model)
	switch rng.IntN(8) {
	case 0: // bits
		for range 1 + rng.IntN(8) {
			data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		}
		return data
	case 1: // the end
		return data[:rng.IntN(len(data))]
	case 2: // a piece out of the middle, or twice
		i, n := rng.IntN(len(data)), rng.IntN(64)
		j := min(i+n, len(data))
		if rng.IntN(2) == 0 {
			return slices.Delete(data, i, j)
		}
		return slices.Insert(data, i, slices.Clone(data[i:j])...)
	}
	var mp onnxpb.ModelProto
	if err := proto.Unmarshal(data, &mp); err != nil {
		panic(err)
	}
	for range 1 + rng.IntN(3) {
		mutateModel(rng, &mp)
	}
	data, err := proto.Marshal(&mp)
	if err != nil {
		panic(err)
	}
	return data
}

// mutateModel changes one thing in a model.
func mutateModel(rng *rand.Rand, mp *onnxpb.ModelProto) {
	g := mp.Graph
	if len(g.Node) == 0 {
		return
	}
	n := g.Node[rng.IntN(len(g.Node))]
	other := g.Node[rng.IntN(len(g.Node))]
	switch rng.IntN(10) {
	case 0: // another operator
		ops := onnx.Operators()
		n.OpType = proto.String(ops[rng.IntN(len(ops))].Name)
	case 1: // other inputs
		if len(n.Input) > 0 && len(other.Output) > 0 {
			n.Input[rng.IntN(len(n.Input))] = other.Output[0]
		}
	case 2:
		if len(n.Input) > 0 && len(other.Input) > 0 {
			n.Input[rng.IntN(len(n.Input))] = other.Input[rng.IntN(len(other.Input))]
		}
	case 3: // fewer or more
		if k := len(n.Input); k > 0 && rng.IntN(2) == 0 {
			n.Input = n.Input[:rng.IntN(k)]
		} else {
			n.Input = append(n.Input, other.Input...)
		}
	case 4: // no node
		g.Node = slices.DeleteFunc(g.Node, func(m *onnxpb.NodeProto) bool { return m == n })
	case 5:
		mp.OpsetImport[0].Version = proto.Int64(int64(rng.IntN(32)))
	case 6: // dimensions of weights
		if len(g.Initializer) > 0 {
			mutateInts(rng, &g.Initializer[rng.IntN(len(g.Initializer))].Dims)
		}
	case 7: // dimensions of inputs
		shape := g.Input[rng.IntN(len(g.Input))].GetType().GetTensorType().GetShape()
		if d := shape.GetDim(); len(d) > 0 {
			d[rng.IntN(len(d))].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: mutateInt(rng, 8)}
		}
	default:
		mutateAttribute(rng, n)
	}
}

// mutateAttribute changes, adds or removes an attribute.
func mutateAttribute(rng *rand.Rand, n *onnxpb.NodeProto) {
	if len(n.Attribute) == 0 || rng.IntN(6) == 0 {
		names := []string{"axis", "axes", "pads", "strides", "dilations", "group", "kernel_shape", "auto_pad", "epsilon", "alpha", "perm", "keepdims", "transB", "ceil_mode"}
		name := names[rng.IntN(len(names))]
		n.Attribute = append(n.Attribute, &onnxpb.AttributeProto{
			Name: &name, Type: onnxpb.AttributeProto_INTS.Enum(), Ints: []int64{mutateInt(rng, 2), mutateInt(rng, 2)},
		})
		return
	}
	i := rng.IntN(len(n.Attribute))
	a := n.Attribute[i]
	switch rng.IntN(6) {
	case 0:
		n.Attribute = slices.Delete(n.Attribute, i, i+1)
	case 1:
		a.Type = onnxpb.AttributeProto_AttributeType(rng.IntN(16)).Enum()
	case 2:
		a.F = proto.Float32(float32(math.Ldexp(rng.NormFloat64(), rng.IntN(300)-150)))
	case 3:
		if t := a.GetT(); t != nil {
			mutateInts(rng, &t.Dims)
			break
		}
		fallthrough
	default:
		a.I = proto.Int64(mutateInt(rng, a.GetI()))
		mutateInts(rng, &a.Ints)
	}
}

// mutateInts changes, adds or removes a number.
func mutateInts(rng *rand.Rand, x *[]int64) {
	switch k := len(*x); {
	case k == 0 || rng.IntN(4) == 0:
		*x = append(*x, mutateInt(rng, 1))
	case rng.IntN(4) == 0:
		*x = (*x)[:k-1]
	default:
		i := rng.IntN(k)
		(*x)[i] = mutateInt(rng, (*x)[i])
	}
}

// mutateInt returns another number, mostly a near one.
func mutateInt(rng *rand.Rand, v int64) int64 {
	edges := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt32, 1 << 16, 1000}
	if rng.IntN(3) == 0 {
		return edges[rng.IntN(len(edges))]
	}
	return v + int64(rng.IntN(7)) - 3
}
