#!/usr/bin/env bash
# Shows that systemd's handler for Go's slog writes levels that it has no name for as "info", those above error
# included.
#
#   findings/slog-journal-hides-errors.sh [VERSION]    tries this version of slog-journal; default: v0.1.2
#
# Subject: the Go package github.com/systemd/slog-journal v0.1.2, by which programs write to journald. The script is the
# journal's end of the socket, in a mount namespace of its own.
#
# What one would guess: a more severe level has no less severe a priority. Levels of log/slog are numbers, -4 for debug,
# 0 info, 4 warning, 8 error, with room between them for others: the documentation's own example
# ("CustomLevels") has LevelTrace = -8, LevelNotice = 2 and LevelEmergency = 12. Go's other handlers write such a level
# by its distance to the next one below it, as ERROR+4. Of syslog's priorities 0 to 7, the smallest is the most severe
# (RFC 5424 section 6.2.1).
#
# What happens: levelToPriority compares the level with eight numbers, 9 to 11 for critical, alert and emergency among
# them, and takes any other for "info". No error is returned, and the level itself is not written.
#
# Seen on 2026-11-30:
#    -8, LevelTrace of the example:     PRIORITY=6
#    -4, slog.LevelDebug:               PRIORITY=7
#     0, slog.LevelInfo:                PRIORITY=6
#     2, LevelNotice of the example:    PRIORITY=6
#     4, slog.LevelWarn:                PRIORITY=4
#     8, slog.LevelError:               PRIORITY=3
#    11, slogjournal.LevelEmergency:    PRIORITY=0
#    12, LevelEmergency of the example: PRIORITY=6
#
# Why it matters: the level above error that a program made up for itself, by the example, never shows in
# "journalctl --priority=err", nor in what collects by that, while the errors below it do; and with
# MaxLevelStore=notice it is not stored at all. The most verbose level, on the other hand, gets past a limit of "info".
# ReplaceAttr cannot mend it: it is not called for the level. Use the package's names for levels, and no numbers of
# one's own. bmaas writes its log to a stream, and systemd's own
# service takes it from there.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried (mount namespaces need root).
set -euo pipefail

version=${1:-v0.1.2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	slogjournal "github.com/systemd/slog-journal"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func main() {
	must(os.MkdirAll("/run/systemd/journal", 0o755))
	journal, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/run/systemd/journal/socket", Net: "unixgram"})
	must(err)
	must(journal.SetReadDeadline(time.Now().Add(30 * time.Second)))
	handler, err := slogjournal.NewHandler(&slogjournal.Options{Level: slog.Level(-100)})
	must(err)
	logger := slog.New(handler)
	isAsFound := true
	for _, each := range []struct {
		name, found string
		level       slog.Level
	}{
		{"LevelTrace of the example", "6", -8},
		{"slog.LevelDebug", "7", slog.LevelDebug},
		{"slog.LevelInfo", "6", slog.LevelInfo},
		{"LevelNotice of the example", "6", 2},
		{"slog.LevelWarn", "4", slog.LevelWarn},
		{"slog.LevelError", "3", slog.LevelError},
		{"slogjournal.LevelEmergency", "0", slogjournal.LevelEmergency},
		{"LevelEmergency of the example", "6", 12},
	} {
		logger.Log(context.Background(), each.level, "the disk fails")
		buffer := make([]byte, 65536)
		length, err := journal.Read(buffer)
		must(err)
		priority := "none"
		for line := range strings.Lines(string(buffer[:length])) {
			if value, ok := strings.CutPrefix(line, "PRIORITY="); ok {
				priority = strings.TrimSpace(value)
			}
		}
		fmt.Printf("%3d, %-30s PRIORITY=%s\n", each.level, each.name+":", priority)
		isAsFound = isAsFound && priority == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/systemd/slog-journal@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
unshare --mount sh -c 'mount -t tmpfs finding /run' 2> unshare.log || { cat unshare.log >&2; exit 2; }
unshare --mount sh -c 'mount -t tmpfs finding /run && exec ./finding'
