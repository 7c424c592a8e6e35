package onnx

// constantOps work on constants only: chiefly shape arithmetic.
var constantOps = map[string]op{
	"And":              {since: 7, inputs: 2, fold: foldBits(and)},
	"BitShift":         {since: 11, inputs: 2, fold: foldShift},
	"Constant":         {since: 6, fold: foldConstant},
	"ConstantOfShape":  {since: 9, fold: foldConstantOfShape},
	"DequantizeLinear": {since: 10, inputs: 3, fold: foldDequantize},
	"Equal":            {since: 7, inputs: 2, fold: foldCompare(equal)},
	"Greater":          {since: 7, inputs: 2, fold: foldCompare(greater)},
	"GreaterOrEqual":   {since: 12, inputs: 2, fold: foldCompare(greaterOrEqual)},
	"IsInf":            {since: 10, fold: foldIs(isInf)},
	"IsNaN":            {since: 9, fold: foldIs(isNaN)},
	"Less":             {since: 7, inputs: 2, fold: foldCompare(less)},
	"LessOrEqual":      {since: 12, inputs: 2, fold: foldCompare(lessOrEqual)},
	"Not":              {since: 6, fold: foldNot},
	"OneHot":           {since: 9, inputs: 3, fold: foldOneHot},
	"Or":               {since: 7, inputs: 2, fold: foldBits(or)},
	"Range":            {since: 11, inputs: 3, fold: foldRange},
	"Shape":            {since: 6, fold: foldShape, ready: knownShape},
	"Size":             {since: 6, fold: foldSize, ready: knownShape},
	"Xor":              {since: 7, inputs: 2, fold: foldBits(xor)},
}
