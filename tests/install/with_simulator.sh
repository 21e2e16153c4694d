#!/bin/sh
# with_simulator.sh SIMULATOR PROGRAM...: runs a program with OPENAI_BASE_URL set to a simulator that ends with it.
set -eu
simulator=$1
shift
said=$(mktemp)
"$simulator" --latency=10ms >"$said" &
trap 'kill $!; rm -f "$said"' EXIT
until OPENAI_BASE_URL=$(grep -o 'http://[^ ]*/v1' "$said"); do sleep 0.05; done
export OPENAI_BASE_URL
"$@"
