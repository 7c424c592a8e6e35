package main

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progressDelay is how long work must last before it gets a progress bar.
const progressDelay = time.Second

// A progress draws a progress bar for long work if stderr is a terminal.
type progress struct {
	terminal *os.File // nil: draw nothing
	label    string
	start    time.Time

	mu  sync.Mutex
	bar *progressbar.ProgressBar // nil until the work has been long
}

func newProgress(stderr io.Writer, label string) *progress {
	p := &progress{label: label, start: time.Now()}
	if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.terminal = f
	}
	return p
}

// update says that done of total steps are done.
func (p *progress) update(done, total int) {
	if p.terminal == nil || time.Since(p.start) < progressDelay {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(p.terminal),
			progressbar.OptionSetDescription(p.label),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetElapsedTime(false), // it would count from here
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionClearOnFinish(),
		)
	}
	if p.bar.GetMax() != total { // other work, such as an audit, has begun
		p.bar.ChangeMax(total)
	}
	// A bar that cannot be drawn is no reason to stop.
	_ = p.bar.Set(done)
}

// clear removes the bar.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
