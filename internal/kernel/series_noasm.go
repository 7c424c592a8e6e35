//go:build !amd64 || noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

func (j *seriesJob[T]) scale(w *seriesTile, a seriesArea) { j.scaleGeneric(w, a) }

func (j *seriesJob[T]) test(w *seriesTile, a seriesArea) { j.testGeneric(w, a) }

func (w *seriesTile) sum(_ cpu.ISA, vectors []uint16, order int) { w.sumGeneric(vectors, order) }

func (j *seriesJob[T]) store(w *seriesTile, a seriesArea) { j.storeAllGeneric(w, a) }
