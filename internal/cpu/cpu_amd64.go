//go:build amd64 && !noasm

package cpu

import "golang.org/x/sys/cpu"

var best = detect()

func detect() ISA {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return Generic
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL && x.HasBMI2:
		return AVX512
	}
	return AVX2
}
