//go:build !amd64 || noasm

package kernel

func tapsVectors(_, _, _ Lanes, _ []int, _, _, _ int) bool { return false }

func prefetchLines(_ *byte, _, _, _ int) {}
