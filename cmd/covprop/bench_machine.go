package main

import (
	"os"
	"strings"
)

// processorModel returns the name of the processor, "" where it is not known:
// it is read from Linux's /proc/cpuinfo.
func processorModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
