package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// attributes are those that the operators have, in opsets at or after (>=) or
// before (<) some. All others are refused, so that nothing that a model says
// is ignored. Without effect on what is computed here are
//
//   - momentum, of training, and seed, of random numbers, which are refused,
//   - storage_order, of MaxPool's second output, which is refused,
//   - round_mode and saturate, of types that are refused,
//   - softmax_precision and stash_type, the type of intermediate results.
var attributes = map[string]string{
	"Add":                       broadcastAttributes,
	"And":                       broadcastAttributes,
	"ArgMax":                    "axis keepdims select_last_index>=12",
	"ArgMin":                    "axis keepdims select_last_index>=12",
	"Attention":                 "is_causal kv_num_heads left_window_size>=25 q_num_heads qk_matmul_output_mode right_window_size>=25 scale softcap softmax_precision",
	"AveragePool":               "auto_pad ceil_mode>=10 count_include_pad>=7 dilations>=19 kernel_shape pads strides",
	"BatchNormalization":        "epsilon is_test<7 momentum spatial<9 training_mode>=14",
	"BitShift":                  "direction",
	"Cast":                      "round_mode>=24 saturate>=19 to",
	"CastLike":                  "round_mode>=24 saturate>=19",
	"Celu":                      "alpha",
	"Clip":                      "max<11 min<11",
	"Concat":                    "axis",
	"Constant":                  "sparse_value>=11 value value_float>=12 value_floats>=12 value_int>=12 value_ints>=12 value_string>=12 value_strings>=12",
	"ConstantOfShape":           "value",
	"Conv":                      "auto_pad dilations group kernel_shape pads strides",
	"ConvTranspose":             "auto_pad dilations group kernel_shape output_padding output_shape pads strides",
	"CumSum":                    "exclusive reverse",
	"DepthToSpace":              "blocksize mode>=11",
	"DequantizeLinear":          "axis>=13 block_size>=21 output_dtype>=23",
	"Div":                       broadcastAttributes,
	"Dropout":                   "is_test<7 ratio<12 seed>=12",
	"Einsum":                    "equation",
	"Elu":                       "alpha",
	"Equal":                     broadcastAttributes,
	"Flatten":                   "axis",
	"Gather":                    "axis",
	"GatherElements":            "axis",
	"GatherND":                  "batch_dims>=12",
	"Gelu":                      "approximate",
	"Gemm":                      "alpha beta broadcast<7 transA transB",
	"GlobalLpPool":              "p",
	"Greater":                   broadcastAttributes,
	"GroupNormalization":        "epsilon num_groups stash_type>=21",
	"HardSigmoid":               "alpha beta",
	"Hardmax":                   "axis",
	"InstanceNormalization":     "epsilon",
	"IsInf":                     "detect_negative detect_positive",
	"LRN":                       "alpha beta bias size",
	"LayerNormalization":        "axis epsilon stash_type",
	"LeakyRelu":                 "alpha",
	"Less":                      broadcastAttributes,
	"LogSoftmax":                "axis",
	"LpNormalization":           "axis p",
	"LpPool":                    "auto_pad ceil_mode>=18 dilations>=18 kernel_shape p pads strides",
	"MaxPool":                   "auto_pad ceil_mode>=10 dilations>=10 kernel_shape pads storage_order>=8 strides",
	"MeanVarianceNormalization": "axes",
	"Mod":                       "fmod",
	"Mul":                       broadcastAttributes,
	"OneHot":                    "axis",
	"Or":                        broadcastAttributes,
	"Pad":                       "mode pads<11 value<11",
	"Pow":                       broadcastAttributes,
	"RMSNormalization":          "axis epsilon stash_type",
	"Range":                     "stash_type>=27",
	"ReduceL1":                  reduceAttributes,
	"ReduceL2":                  reduceAttributes,
	"ReduceLogSum":              reduceAttributes,
	"ReduceLogSumExp":           reduceAttributes,
	"ReduceMax":                 reduceAttributes,
	"ReduceMean":                reduceAttributes,
	"ReduceMin":                 reduceAttributes,
	"ReduceProd":                reduceAttributes,
	"ReduceSum":                 "axes<13 keepdims noop_with_empty_axes>=13",
	"ReduceSumSquare":           reduceAttributes,
	"Reshape":                   "allowzero>=14",
	"Resize":                    "antialias>=18 axes>=18 coordinate_transformation_mode>=11 cubic_coeff_a>=11 exclude_outside>=11 extrapolation_value>=11 keep_aspect_ratio_policy>=18 mode nearest_mode>=11",
	"RotaryEmbedding":           "interleaved num_heads rotary_embedding_dim",
	"Scatter":                   "axis",
	"ScatterElements":           "axis reduction>=16",
	"ScatterND":                 "reduction>=16",
	"Selu":                      "alpha gamma",
	"Shape":                     "end>=15 start>=15",
	"Shrink":                    "bias lambd",
	"Slice":                     "axes<10 ends<10 starts<10",
	"Softmax":                   "axis",
	"SpaceToDepth":              "blocksize mode>=28",
	"Split":                     "axis num_outputs>=18 split<13",
	"Squeeze":                   "axes<13",
	"Sub":                       broadcastAttributes,
	"Swish":                     "alpha",
	"ThresholdedRelu":           "alpha",
	"Transpose":                 "perm",
	"Trilu":                     "upper",
	"Unsqueeze":                 "axes<13",
	"Upsample":                  "height_scale<7 mode scales>=7<9 width_scale<7",
	"Xor":                       broadcastAttributes,
}

const (
	broadcastAttributes = "axis<7 broadcast<7"
	reduceAttributes    = "axes<18 keepdims noop_with_empty_axes>=18"
)

// hasAttribute reports whether the operator has the attribute in the opset.
func hasAttribute(op, name string, opset int) bool {
	for known := range strings.FieldsSeq(attributes[op]) {
		rest, ok := strings.CutPrefix(known, name)
		if !ok || rest != "" && rest[0] != '>' && rest[0] != '<' {
			continue
		}
		since, before := oldestOpset, newestOpset+1
		if from, ok := strings.CutPrefix(rest, ">="); ok {
			since, rest = leadingNumber(from)
		}
		if to, ok := strings.CutPrefix(rest, "<"); ok {
			before, _ = leadingNumber(to)
		}
		return since <= opset && opset < before
	}
	return false
}

// leadingNumber returns the number that s starts with, and what follows it.
func leadingNumber(s string) (n int, rest string) {
	for s != "" && '0' <= s[0] && s[0] <= '9' {
		n, s = 10*n+int(s[0]-'0'), s[1:]
	}
	return n, s
}

// checkAttributes refuses attributes that the node's operator does not have.
func (n *node) checkAttributes() error {
	for _, name := range slices.Sorted(maps.Keys(n.attrs)) {
		if !hasAttribute(n.op, name, n.m.opset) {
			return fmt.Errorf("has the attribute %q, which is not one of the operator in opset %d", name, n.m.opset)
		}
	}
	return nil
}
