#!/usr/bin/env bash
# Shows that go-syslog dates messages by the year in which the collector was started, and keeps the last address of a
# machine that has several.
#
#   findings/go-syslog-keeps-the-year.sh [VERSION]    tries this version of go-syslog; default: v4.6.0
#
# Subject: the Go packages github.com/leodido/go-syslog/v4/rfc3164 and rfc5424 v4.6.0, by which collectors of logs read.
#
# What one would guess: the older format has no year. WithYear(CurrentYear{}) takes the current one, as its comment
# says, so of each message when it arrives. In the newer format a machine with several addresses may "include multiple
# "ip" parameters in a single "origin"" element (RFC 5424). HOSTNAME of the older one may be an IPv6 address (RFC 3164).
#
# What happens: the operator is asked when the option is applied, that is, once for each parser. A parser that lives
# across New Year puts all that it reads then a year back, from January on until it is started anew. A structured data
# element is a map from a parameter's name to one value; the others are gone, also from what String() writes. The older
# format's parser takes a colon for the end of the program's name: "2001" of 2001:db8::7 is a program, and there is no
# host.
#
# Seen on 2026-12-01, with an operator that says 2026 at first and 2027 afterwards:
#   made in 2026, Dec 31 in 2026    2026-12-31
#   made in 2026, Jan 1 in 2027     2026-01-01
#   made in 2027, Jan 1 in 2027     2027-01-01
#   origin ip="192.0.2.7" ip="2001:db8::7"    map[ip:2001:db8::7]
#   BSD, from 192.0.2.7             host 192.0.2.7, program bmc, message "fan failed"
#   BSD, from 2001:db8::7           host none, program 2001, message "2001:db8::7 bmc: fan failed"
#
# Why it matters: who looks on January 2 for what the machines and switches have said in the last hour finds nothing,
# and a retention by age deletes it at once. A collector that is restarted often never does that, and no test does. Make
# a new parser each day, or take the time of arrival. bmaas sends and reads no syslog.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v4.6.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"
)

var currentYear = 2026

// The current year, as rfc3164.CurrentYear is by the clock.
type clock struct{}

func (clock) Apply() int { return currentYear }

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func parse(parser syslog.Machine, line string) syslog.Base {
	message, err := parser.Parse([]byte(line))
	must(err)
	return message.(*rfc3164.SyslogMessage).Base
}

func date(parser syslog.Machine, line string) string {
	return parse(parser, line).Timestamp.Format("2006-01-02")
}

func text(value *string) string {
	if value == nil {
		return "none"
	}
	return *value
}

func describe(parser syslog.Machine, line string) string {
	read := parse(parser, line)
	return fmt.Sprintf("host %s, program %s, message %q", text(read.Hostname), text(read.Appname), text(read.Message))
}

func readOrigin(line string) string {
	message, err := rfc5424.NewParser().Parse([]byte(line))
	must(err)
	return fmt.Sprint((*message.(*rfc5424.SyslogMessage).StructuredData)["origin"])
}

func main() {
	const january = "<34>Jan  1 00:00:01 node7 bmc: fan failed"
	old := rfc3164.NewParser(rfc3164.WithYear(clock{}))
	seen := []string{"made in 2026, Dec 31 in 2026    " + date(old, "<34>Dec 31 23:59:59 node7 bmc: fan failed")}
	currentYear = 2027
	current := rfc3164.NewParser(rfc3164.WithYear(clock{}))
	const origin = `origin ip="192.0.2.7" ip="2001:db8::7"`
	seen = append(seen,
		"made in 2026, Jan 1 in 2027     "+date(old, january),
		"made in 2027, Jan 1 in 2027     "+date(current, january),
		origin+"    "+readOrigin("<34>1 2026-11-30T12:00:00Z node7 bmc 123 ID47 ["+origin+"] fan failed"),
		"BSD, from 192.0.2.7             "+describe(current, "<34>Nov 30 12:00:00 192.0.2.7 bmc: fan failed"),
		"BSD, from 2001:db8::7           "+describe(current, "<34>Nov 30 12:00:00 2001:db8::7 bmc: fan failed"),
	)
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"made in 2026, Dec 31 in 2026    2026-12-31",
		"made in 2026, Jan 1 in 2027     2026-01-01",
		"made in 2027, Jan 1 in 2027     2027-01-01",
		`origin ip="192.0.2.7" ip="2001:db8::7"    map[ip:2001:db8::7]`,
		`BSD, from 192.0.2.7             host 192.0.2.7, program bmc, message "fan failed"`,
		`BSD, from 2001:db8::7           host none, program 2001, message "2001:db8::7 bmc: fan failed"`,
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/leodido/go-syslog/v4@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
