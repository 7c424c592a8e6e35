//go:build !amd64 || noasm

package bench

func peak64(turns int) (fmas int) { return peak64Generic(turns) }
func peak32(turns int) (fmas int) { return peak32Generic(turns) }
