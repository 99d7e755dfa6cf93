package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// BootID names the boot of the machine: process ids and start times of another boot mean nothing.
func BootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

// StartTime is the process's start in clock ticks since the boot.
func StartTime(pid int) (uint64, error) {
	stat, err := readStat(pid)
	if err != nil {
		return 0, ErrGone
	}
	return stat.start, nil
}

// Find looks through every process for those that have variable in their environment or that write their output to
// one of the files, and returns them by the variable's value or what the map says for the file. The second way finds a
// program that has overwritten its environment, as some do to show a title. A program that has in addition sent both
// its outputs elsewhere is not found.
func Find(variable string, outputs map[string]string) (map[string][]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	found := make(map[string][]Process)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// Processes come and go, and others' may not be read: what cannot be read is not ours.
		stat, err := readStat(pid)
		if err != nil || stat.state == 'Z' || stat.state == 'X' {
			continue
		}
		if mark := marked(pid, variable, outputs); mark != "" {
			found[mark] = append(found[mark], Process{PID: pid, Start: stat.start, Leader: stat.session == pid})
		}
	}
	return found, nil
}

func marked(pid int, variable string, outputs map[string]string) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err == nil {
		for assignment := range bytes.SplitSeq(environ, []byte{0}) {
			if key, value, ok := strings.Cut(string(assignment), "="); ok && key == variable {
				return value
			}
		}
	}
	for _, fd := range []int{1, 2} {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		if mark, ok := outputs[target]; err == nil && ok {
			return mark
		}
	}
	return ""
}

type stat struct {
	state   byte
	session int
	start   uint64
}

// readStat reads /proc/<pid>/stat. The second field, the name, may hold spaces and brackets: the others are counted
// from the last bracket.
func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	_, rest, ok := cutLast(string(data), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat has another form than expected", pid)
	}
	session, err := strconv.Atoi(fields[3]) // field 6
	if err != nil {
		return stat{}, err
	}
	start, err := strconv.ParseUint(fields[19], 10, 64) // field 22
	if err != nil {
		return stat{}, err
	}
	return stat{state: fields[0][0], session: session, start: start}, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
