package main

import (
	"fmt"
	"runtime"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/cpu"
)

type versionCmd struct {
	Format string `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
}

func (c *versionCmd) Run(e *env) error {
	if c.Format == "json" {
		return e.printJSON(struct {
			Schema  int    `json:"schema"`
			Version string `json:"version"`
			Go      string `json:"go"`
			ISA     string `json:"isa"`
		}{1, covprop.Version, runtime.Version(), cpu.Current().String()})
	}
	return e.print(fmt.Appendf(nil, "covprop %s\n%s %s/%s, %s kernels\n", covprop.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, cpu.Current()))
}
