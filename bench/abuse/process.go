package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is the id of the server's process, or 0 if it is not known: then nothing is measured.
type process int

// cpu returns the time that the threads of p have run. /proc/PID/stat counts in steps of 10 ms, which is
// more than most attacks take; the scheduler counts in nanoseconds. Linux only.
func (p process) cpu() (sum time.Duration, err error) {
	if p == 0 {
		return 0, nil
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("process %d is not to be measured here", p)
	}
	for _, thread := range threads {
		line, err := os.ReadFile(thread)
		if err != nil {
			continue // it ended meanwhile
		}
		ran, _, _ := strings.Cut(string(line), " ")
		n, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", thread, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// rest returns what p uses while nobody asks it for anything.
func (p process) rest(d time.Duration) (time.Duration, error) {
	time.Sleep(d / 4) // what is left of the last attack
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	time.Sleep(d)
	after, err := p.cpu()
	return after - before, err
}

// memory returns what /proc/PID/status says under a name such as VmHWM, the most resident memory ever, in MiB.
func (p process) memory(name string) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), name+":")
	line, _, _ := strings.Cut(after, "kB")
	n, err := strconv.Atoi(strings.TrimSpace(line))
	return n >> 10, err
}
