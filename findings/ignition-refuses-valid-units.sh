#!/usr/bin/env bash
# Shows that Ignition refuses units that systemd takes, because go-systemd ends a value at a comment and counts lines by
# where they lie in its buffer.
#
#   findings/ignition-refuses-valid-units.sh [VERSION]    tries this version of Ignition; default: v2.24.0
#
# Subject: the Go packages github.com/coreos/go-systemd/v22 v22.7.0 of January 2026, unit.DeserializeOptions, and
# github.com/coreos/ignition/v2 v2.24.0, config/v3_5, which checks each unit and drop-in by it. systemd is right here,
# and so is Ignition, which hands the unit on as it stands.
#
# What one would guess: a unit that "systemd-analyze verify" takes passes. After a line that ends in a backslash "the
# comment block is ignored, so the continued line is concatenated with whatever follows the comment block", and the
# limit of a line's length is "currently 1 MB" (systemd.syntax(7), systemd 252; its own first example has such
# comments).
#
# What happens: lexOptionValueFunc reads on while lines end in a backslash. A comment does not, so it becomes the end of
# the value, and the line behind it is read as an option: with a "=" it is one, and without it is an error. lex()
# refuses a line if 2048 bytes are in its buffer of 4096 and have no end of line among them: that is asked for where an
# option begins, so the same line passes when its end is not yet in the buffer.
#
# Seen on 2026-11-30. systemd-analyze verify of systemd 252 had nothing to say about each of these:
#   comment, then --bmc=     go-systemd: ExecStart is cut, option "--bmc" is "10.0.0.1"   Ignition: valid
#   comment, then --verbose  unexpected newline encountered while parsing option name     Ignition: refused
#   line of 3019 bytes       line too long (max 2048 bytes)                               Ignition: refused
#   the same, further down   go-systemd: read as a whole                                  Ignition: valid
#
# Why it matters: a machine whose Ignition config is refused does not get past its first boot, and a unit with a long
# list of options, each with its comment, is what an operator writes. Adding a line of comment on top can mend it, or
# break it. What reads units by go-systemd to check them does not see the options behind a comment. Keep comments out
# of continued lines, and lines below 2048 bytes, in what goes through Ignition or Butane. bmaas uses neither.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v2.24.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/coreos/ignition/v2/config/v3_5"
)

const (
	head = "[Unit]\nDescription=Agent\n"
	tail = "[Install]\nWantedBy=multi-user.target\n"
)

var (
	setting = "Environment=TOKENS=" + strings.Repeat("x", 3000) + "\n"
	padding = strings.Repeat("# What follows is written by the site's generator.\n", 50)
)

type each struct {
	name, contents, option, whole string
}

var units = []each{
	{
		"comment, then --bmc=    ",
		head + "[Service]\nExecStart=/bin/true --one \\\n# The BMC\n  --bmc=10.0.0.1\n" + tail,
		"ExecStart", "/bin/true --one   --bmc=10.0.0.1",
	},
	{
		"comment, then --verbose ",
		head + "[Service]\nExecStart=/bin/true --one \\\n# For now\n  --verbose\n" + tail,
		"ExecStart", "/bin/true --one   --verbose",
	},
	{
		"line of 3019 bytes      ",
		head + "[Service]\nExecStart=/bin/true\n" + setting + tail,
		"Environment", strings.TrimPrefix(strings.TrimSpace(setting), "Environment="),
	},
	{
		"the same, further down  ",
		head + padding + "[Service]\nExecStart=/bin/true\n" + setting + tail,
		"Environment", strings.TrimPrefix(strings.TrimSpace(setting), "Environment="),
	},
}

// read tells what go-systemd makes of the unit.
func read(u each) string {
	options, err := unit.DeserializeOptions(strings.NewReader(u.contents))
	if err != nil {
		return err.Error()
	}
	found := "is missing"
	var unknown []string
	for _, option := range options {
		if option.Name == u.option && option.Value == u.whole {
			return "go-systemd: read as a whole"
		}
		if option.Name == u.option {
			found = "is cut"
		}
		if strings.HasPrefix(option.Name, "-") {
			unknown = append(unknown, fmt.Sprintf(", option %q is %q", option.Name, option.Value))
		}
	}
	return fmt.Sprintf("go-systemd: %s %s%s", u.option, found, strings.Join(unknown, ""))
}

// check tells whether Ignition takes the unit.
func check(u each) string {
	config, err := json.Marshal(map[string]any{
		"ignition": map[string]any{"version": "3.5.0"},
		"systemd": map[string]any{"units": []any{
			map[string]any{"name": "agent.service", "enabled": true, "contents": u.contents},
		}},
	})
	if err != nil {
		panic(err)
	}
	if _, _, err := v3_5.Parse(config); err != nil {
		return "refused"
	}
	return "valid"
}

func main() {
	var seen []string
	for _, u := range units {
		seen = append(seen, fmt.Sprintf("%s %-60s Ignition: %s", u.name, read(u), check(u)))
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		`comment, then --bmc=     go-systemd: ExecStart is cut, option "--bmc" is "10.0.0.1"   Ignition: valid`,
		"comment, then --verbose  unexpected newline encountered while parsing option name     Ignition: refused",
		"line of 3019 bytes       line too long (max 2048 bytes)                               Ignition: refused",
		"the same, further down   go-systemd: read as a whole                                  Ignition: valid",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{
  go mod init finding &&
    go get "github.com/coreos/ignition/v2@$version" github.com/coreos/go-systemd/v22@v22.7.0 &&
    go build -o finding .
} > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
