//go:build !amd64 || noasm

package kernel

func tapsVectors(_, _, _ []float64, _ []int, _, _, _, _ int) bool { return false }
