//go:build !amd64 || noasm

package kernel

func powersVector(_, _, _, _ []float64, _ int) bool { return false }

func powers3Vector(_, _, _, _ []float64, _ int) bool { return false }
