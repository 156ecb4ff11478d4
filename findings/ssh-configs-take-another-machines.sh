#!/usr/bin/env bash
# Shows that two readers of ssh_config take a "?" for one character or none, so that bmc1 gets the settings of bmc10 to
# bmc19.
#
#   findings/ssh-configs-take-another-machines.sh [VERSION]    tries this version of ssh_config; default: v1.6.0
#
# Subject: the Go package github.com/kevinburke/ssh_config v1.6.0 of February 2026, and the npm package ssh-config
# 5.3.0, beside OpenSSH 9.2 (Debian 12; left out where it is not installed).
#
# What one would guess: a "?" in a pattern of "Host" is "a wildcard that matches exactly one character" (ssh_config(5),
# "Patterns"), to which the README of the one and a comment of the other refer. ssh takes the first value that it finds,
# so settings for some machines stand before those for all.
#
# What happens: both make a regular expression of the pattern, and of "?" the two characters ".?", which also match
# nothing. So "bmc1?" matches bmc1, and "?" all one-letter names and the empty one.
#
# Seen on 2026-12-01, where "Host bmc1?" has the jump host rack-b, and "Host bmc*" after it rack-a:
#   bmc1      ssh -G: rack-a   ssh_config: rack-b   ssh-config: rack-b
#   bmc12     ssh -G: rack-b   ssh_config: rack-b   ssh-config: rack-b
#   bmc123    ssh -G: rack-a   ssh_config: rack-a   ssh-config: rack-a
#
# Why it matters: machines are numbered without leading zeros, and "?" is how one names ten of them. A tool that reads
# the file by these packages reaches bmc1 through another rack, where the same private address may be another
# controller, or with another user and key. A person who tries it with ssh sees the right machine. Names with leading
# zeros, or ten names written out, mean the same to all three. bmaas does not read this file.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.6.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > config <<'TEXT'
Host bmc1?
  ProxyJump rack-b

Host bmc*
  ProxyJump rack-a
TEXT

cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/kevinburke/ssh_config"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "could not be tried:", err)
		os.Exit(2)
	}
}

func main() {
	file, err := os.Open("config")
	must(err)
	config, err := ssh_config.Decode(file)
	must(err)
	jump, err := config.Get(os.Args[1], "ProxyJump")
	must(err)
	fmt.Println(jump)
}
GO
{ go mod init finding && go get "github.com/kevinburke/ssh_config@$version" && go build -o by-go .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }

cat > by-npm.mjs <<'JS'
import { readFileSync } from "node:fs";
import sshConfig from "ssh-config";

console.log(sshConfig.parse(readFileSync("config", "utf8")).compute(process.argv[2]).ProxyJump);
JS
npm install --no-audit --no-fund --loglevel=error ssh-config@5.3.0 > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

# Prints the jump host by OpenSSH, or what is right where it is not installed.
ask_ssh() {
  if command -v ssh > /dev/null; then
    ssh -G -F config "$1" < /dev/null 2> ssh.log | sed -n 's/^proxyjump //p'
  else
    echo "$2"
  fi
}

found=(
  "bmc1      ssh -G: rack-a   ssh_config: rack-b   ssh-config: rack-b"
  "bmc12     ssh -G: rack-b   ssh_config: rack-b   ssh-config: rack-b"
  "bmc123    ssh -G: rack-a   ssh_config: rack-a   ssh-config: rack-a"
)
is_as_found=yes
for each in "${found[@]}"; do
  read -r name _ _ right _ <<< "$each"
  seen=$(printf "%-9s ssh -G: %s   ssh_config: %s   ssh-config: %s" \
    "$name" "$(ask_ssh "$name" "$right")" "$(./by-go "$name")" "$(node by-npm.mjs "$name")")
  echo "$seen"
  [ "$seen" = "$each" ] || is_as_found=no
done
[ "$is_as_found" = yes ] || { echo "this has changed"; exit 1; }
echo "as found"
