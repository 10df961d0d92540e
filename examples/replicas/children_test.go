//go:build linux

package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// However the program ends, its replicas and its redis-server end too.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	needRedis(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			const replicas = 4
			marker := "EXAMPLE_REPLICAS_TEST=" + rand.Text()
			cmd := exec.Command(os.Args[0], "-replicas", fmt.Sprint(replicas))
			cmd.Env = append(os.Environ(), mainVariable+"=1", marker)
			ownGroup(cmd)
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { killGroup(cmd) })

			// Each is the head of a group: the program, the replicas and the keeper of redis-server.
			var groups []string
			t.Cleanup(func() {
				for _, id := range living(t, groups) { // none, unless the test has failed
					number, err := strconv.Atoi(id)
					require.NoError(t, err)
					_ = syscall.Kill(number, syscall.SIGKILL)
				}
			})
			require.Eventually(t, func() bool {
				groups = marked(t, marker)
				return len(groups) == replicas+2
			}, time.Minute, 20*time.Millisecond)
			require.Len(t, living(t, groups), replicas+3, "with redis-server")

			require.NoError(t, cmd.Process.Signal(signal))
			assert.Error(t, cmd.Wait())
			assert.Eventually(t, func() bool { return len(living(t, groups)) == 0 }, time.Minute, 20*time.Millisecond)
		})
	}
}

// marked returns the ids of the processes with a variable in their environment that lead a group.
func marked(t *testing.T, marker string) (groups []string) {
	t.Helper()
	for id, group := range processes(t) {
		environment, _ := os.ReadFile(filepath.Join("/proc", id, "environ"))
		if id == group && slices.Contains(strings.Split(string(environment), "\x00"), marker) {
			groups = append(groups, id)
		}
	}
	return groups
}

// living returns the ids of the processes of these groups.
func living(t *testing.T, groups []string) (ids []string) {
	t.Helper()
	for id, group := range processes(t) {
		if slices.Contains(groups, group) {
			ids = append(ids, id)
		}
	}
	return ids
}

// processes returns the group of each process that has not ended.
func processes(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	groups := make(map[string]string)
	for _, file := range files {
		stat, _ := os.ReadFile(file) // none: it has ended since
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest) // state, parent, group
		if len(fields) > 2 && !slices.Contains([]string{"Z", "X"}, fields[0]) {
			groups[filepath.Base(filepath.Dir(file))] = fields[2]
		}
	}
	return groups
}
