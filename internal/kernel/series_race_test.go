//go:build race

package kernel

func init() { racing = true }
