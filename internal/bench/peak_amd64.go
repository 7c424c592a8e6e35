//go:build amd64 && !noasm

package bench

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./peak -out ../bench/peak_amd64.s -stubs ../bench/peak_stubs_amd64.go -pkg bench

func peak64(turns int) (fmas int) {
	switch cpu.Current() {
	case cpu.AVX512:
		return peak64AVX512(turns)
	case cpu.AVX2:
		return peak64AVX2(turns)
	}
	return peak64Generic(turns)
}

func peak32(turns int) (fmas int) {
	switch cpu.Current() {
	case cpu.AVX512:
		return peak32AVX512(turns)
	case cpu.AVX2:
		return peak32AVX2(turns)
	}
	return peak32Generic(turns)
}
