package onnx

import "math"

// constantOps work on constants only: chiefly shape arithmetic.
var constantOps = map[string]op{
	"Ceil":             {since: 6, fold: foldReal(ceil)},
	"Concat":           {since: 6, inputs: math.MaxInt, fold: foldConcat},
	"Constant":         {since: 6, fold: foldConstant},
	"ConstantOfShape":  {since: 9, fold: foldConstantOfShape},
	"DequantizeLinear": {since: 10, inputs: 3, fold: foldDequantize},
	"Equal":            {since: 7, inputs: 2, fold: foldCompare(equal)},
	"Floor":            {since: 6, fold: foldReal(floor)},
	"Greater":          {since: 7, inputs: 2, fold: foldCompare(greater)},
	"Less":             {since: 7, inputs: 2, fold: foldCompare(less)},
	"Log":              {since: 6, fold: foldReal(log)},
	"Max":              {since: 8, inputs: math.MaxInt, fold: foldExtreme(1)},
	"Min":              {since: 8, inputs: math.MaxInt, fold: foldExtreme(-1)},
	"Range":            {since: 11, inputs: 3, fold: foldRange},
	"Reciprocal":       {since: 6, fold: foldReal(reciprocal)},
	"Shape":            {since: 6, fold: foldShape, ready: knownShape},
	"Size":             {since: 6, fold: foldSize, ready: knownShape},
	"Sqrt":             {since: 6, fold: foldReal(sqrt)},
	"Where":            {since: 9, inputs: 3, fold: foldWhere},
}
