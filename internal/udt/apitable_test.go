package udt_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	root = filepath.Join("..", "..")
	// A test in the table: `TestName`, `TestInterop/Case` or `script.txt`.
	testInTable = regexp.MustCompile("`(Test\\w+)(?:/(\\w+))?`|`(\\w+\\.txt)`")
	testInTree  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	interopCase = regexp.MustCompile(`(?m)^\t\t\{"(\w+)", test\w+\}`)
)

// The table of UDT4's API has all rows of PyUDT's inventory, an answer in each
// of their cells, and tests that there are.
func TestAPITable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "udt4-api.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests, cases := testsInTree(t), casesOfInterop(t)
	ids := map[string]int{}
	column := 0 // of the tests, from the end of the line
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells, ok := tableRow(line)
		switch {
		case !ok:
			column = 0
			continue
		case column == 0: // the table's head
			if column = len(cells); cells[column-1] != "shown by" {
				t.Errorf("a table whose last column is not the tests: %s", line)
			}
			continue
		case strings.HasPrefix(cells[0], "---"):
			continue
		}
		rows++
		ids[cells[0]]++
		if len(cells) != column {
			t.Errorf("%d cells, want %d: %s", len(cells), column, line)
			continue
		}
		for i, cell := range cells {
			// What is read only has no default.
			if cell == "" && !(i == 2 && column == 5) {
				t.Errorf("an empty cell: %s", line)
			}
		}
		found := testInTable.FindAllStringSubmatch(cells[column-1], -1)
		if len(found) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, f := range found {
			switch name, interop, script := f[1], f[2], f[3]; {
			case script != "":
				if _, err := os.Stat(filepath.Join(root, "internal", "cli", "testdata", "script", script)); err != nil {
					t.Error(err)
				}
			case !tests[name]:
				t.Errorf("there is no %s", name)
			case interop != "" && (name != "TestInterop" || !cases[interop]):
				t.Errorf("there is no %s/%s", name, interop)
			}
		}
	}
	for prefix, n := range map[string]int{"F": 22, "S": 23} {
		for i := range n {
			if id := fmt.Sprintf("%s%d", prefix, i+1); ids[id] != 1 {
				t.Errorf("%d rows %s", ids[id], id)
			}
		}
	}
	const least = 22 + 5 + 21 + 3 + 23 + 6 + 9
	if rows < least {
		t.Errorf("%d rows, want at least %d", rows, least)
	}
}

// tableRow returns the cells of a line of a table.
func tableRow(line string) ([]string, bool) {
	line = strings.TrimSpace(line)
	if len(line) < 2 || line[0] != '|' || line[len(line)-1] != '|' {
		return nil, false
	}
	cells := strings.Split(line[1:len(line)-1], "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells, true
}

// testsInTree returns the names of all tests there are.
func testsInTree(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testInTree.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// casesOfInterop returns the names of TestInterop's cases.
func casesOfInterop(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("interop_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range interopCase.FindAllSubmatch(text, -1) {
		names[string(m[1])] = true
	}
	return names
}
