//go:build !amd64 || noasm

package kernel

func tapsVectors(_, _, _ Lanes, _ []int, _, _, _ int) bool { return false }

func prefetchLines(_ *byte, _, _, _ int) {}

func widenVectors(_ []float64, _ []float32) int { return 0 }

func narrowVectors(_ []float32, _ []float64) int { return 0 }
