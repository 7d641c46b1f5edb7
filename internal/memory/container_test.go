package memory_test

import (
	"testing"
	"testing/fstest"

	"github.com/graphwarden/graphwarden/internal/memory"
)

func TestContainerLimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no cgroups": {nil, 0},
		"version 1":  {map[string]string{"proc/self/cgroup": "4:memory:/docker/1\n"}, 0},
		"without limit": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "max\n",
		}, 0},
		"container": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "134217728\n",
		}, 128 << 20},
		"service in a slice": {map[string]string{
			"proc/self/cgroup":                                          "0::/system.slice/graphwarden.service\n",
			"sys/fs/cgroup/memory.max":                                  "max\n",
			"sys/fs/cgroup/system.slice/memory.max":                     "536870912\n",
			"sys/fs/cgroup/system.slice/graphwarden.service/memory.max": "1073741824\n",
		}, 512 << 20},
	} {
		root := fstest.MapFS{}
		for path, text := range test.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memory.ContainerLimit(root); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
