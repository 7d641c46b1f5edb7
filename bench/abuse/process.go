package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is the process id of the server. For 0 nothing is measured.
type process int

// cpu returns the CPU time of p. It reads schedstat, which counts in nanoseconds: the steps of 10 ms in /proc/PID/stat
// are longer than most attacks. It works only on Linux.
func (p process) cpu() (sum time.Duration, err error) {
	if p == 0 {
		return 0, nil
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("cannot measure process %d", p)
	}
	for _, thread := range threads {
		line, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended
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

// rest returns the CPU time of p during d without requests.
func (p process) rest(d time.Duration) (time.Duration, error) {
	time.Sleep(d / 4) // for the rest of the last attack
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	time.Sleep(d)
	after, err := p.cpu()
	return after - before, err
}

// memory returns a value of /proc/PID/status in MiB, such as VmHWM, the peak resident memory.
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
