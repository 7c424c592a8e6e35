package main

import (
	"bytes"
	"fmt"
	"os"
)

// machineMemory returns the machine's memory in bytes, 0 where it is not
// known: it is read from Linux's /proc/meminfo.
func machineMemory() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(data, []byte("MemTotal:"))
	var kib int64
	if _, err := fmt.Sscan(string(rest[:min(len(rest), 64)]), &kib); err != nil {
		return 0
	}
	return kib << 10
}
