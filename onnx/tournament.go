package onnx

import (
	"errors"

	"github.com/covprop/covprop/layer"
)

// tournament appends the steps that make out_k = max over i in lists[k] of
// x_i. Every round plays neighbours in a list against each other,
//
//	max(x_1, ..., x_n) = max(max(x_1, x_2), max(x_3, x_4), ...),
//
// and takes the last of an odd number along. A pair that several lists have is
// played once, and an element that a list repeats counts once.
func tournament(p *plan, n *node, out, x *value, lists [][]int) error {
	size := product(x.shape)
	lists, longest, err := distinct(n, lists, size)
	if err != nil {
		return err
	}
	if longest == 1 {
		index := make([]int, len(lists))
		for k, list := range lists {
			index[k] = list[0]
		}
		p.step(out, x)(layer.NewSelect(index, size))
		return p.err
	}
	for longest > 2 {
		var pairs [][2]int
		if lists, pairs, err = round(n, lists); err != nil {
			return err
		}
		y := temp(n, out, []int{len(pairs)})
		p.step(y, x)(layer.NewMax(pairs, size))
		x, size, longest = y, len(pairs), (longest+1)/2
	}
	pairs := make([][2]int, len(lists))
	for k, list := range lists {
		pairs[k] = [2]int{list[0], list[len(list)-1]}
	}
	p.step(out, x)(layer.NewMax(pairs, size))
	return p.err
}

// distinct returns the lists without repeated elements, and the length of the
// longest.
func distinct(n *node, lists [][]int, size int) (unique [][]int, longest int, err error) {
	total := size + len(lists)
	for _, list := range lists {
		if len(list) == 0 {
			return nil, 0, errors.New("takes the maximum of no elements")
		}
		total += len(list)
	}
	if err := n.m.limits.take(total); err != nil {
		return nil, 0, err
	}
	unique = make([][]int, len(lists))
	seen := make([]int, size) // 1 + the last list that has the element
	all := make([]int, 0, total)
	for k, list := range lists {
		first := len(all)
		for _, i := range list {
			if seen[i] != k+1 {
				all, seen[i] = append(all, i), k+1
			}
		}
		unique[k] = all[first:len(all):len(all)]
		longest = max(longest, len(unique[k]))
	}
	return unique, longest, nil
}

// round returns the pairs that are played in a round, and the lists of
// winners: a winner is known by the place of its pair.
func round(n *node, lists [][]int) (winners [][]int, pairs [][2]int, err error) {
	total := 0
	for _, list := range lists {
		total += (len(list) + 1) / 2
	}
	if err := n.m.limits.take(4 * total); err != nil {
		return nil, nil, err
	}
	place := make(map[[2]int]int, total)
	winners = make([][]int, len(lists))
	all := make([]int, 0, total)
	for k, list := range lists {
		first := len(all)
		for i := 0; i < len(list); i += 2 {
			a, b := list[i], list[min(i+1, len(list)-1)]
			pair := [2]int{min(a, b), max(a, b)}
			at, played := place[pair]
			if !played {
				at = len(pairs)
				place[pair], pairs = at, append(pairs, pair)
			}
			all = append(all, at)
		}
		winners[k] = all[first:]
	}
	return winners, pairs, nil
}
