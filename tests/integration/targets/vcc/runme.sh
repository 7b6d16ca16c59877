#!/usr/bin/env bash
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Use the collection against the simulator, with real Ansible processes that write to a temporary folder only.

set -eu -o pipefail

target=$PWD
collection=
IFS=: read -r -a places <<<"${ANSIBLE_COLLECTIONS_PATH:-}"
for place in "${places[@]}" "$PWD/../../../../../../.."; do
    if [ -d "$place/ansible_collections/vonage/vcc/tests/simulator" ]; then
        collection=$place/ansible_collections/vonage/vcc
        export ANSIBLE_COLLECTIONS_PATH=$place
        break
    fi
done

all=$(mktemp -d "${OUTPUT_DIR:-${TMPDIR:-/tmp}}/vcc-XXXXXX")
trap 'rm -rf "$all"' EXIT

# Nothing from the caller's own environment, nor of the caller's home.
for name in $(compgen -e); do
    case $name in
    VCC_* | *_PROXY | *_proxy | *_CA_BUNDLE | NETRC | ANSIBLE_PYTHON_INTERPRETER) unset "$name" ;;
    esac
done
export ANSIBLE_NOCOLOR=1 ANSIBLE_FORCE_COLOR=0 ANSIBLE_LOCALHOST_WARNING=0 ANSIBLE_INVENTORY_UNPARSED_WARNING=0
# A module says how it was invoked, the action plugin does not: so the tests know which of them ran.
export ANSIBLE_INJECT_INVOCATION=1

# begin NAME: what follows has a simulator and a folder of its own.
begin() {
    work=$all/$1
    export HOME=$work/home ANSIBLE_REMOTE_TMP=$work/tmp
    mkdir -p "$HOME" "$work/output"
    cd "$collection"
    python -m tests.simulator --ready-file "$work/ready" >"$work/simulator.log" 2>&1 &
    simulator=$!
    trap 'kill "$simulator" && wait "$simulator" || true' EXIT
    until [ -e "$work/ready" ]; do
        if ! kill -0 "$simulator"; then
            cat "$work/simulator.log"
            exit 1
        fi
        sleep 0.1
    done
    cd "$target"
    printf '{"sim": %s, "work": "%s"}\n' "$(cat "$work/ready")" "$work" >"$work/vars.json"
}

# run NAME COMMAND...: run a command, its output in a file that is shown if the command fails.
run() {
    local name=$1 started=$SECONDS
    shift
    if ! "$@" >"$work/output/$name" 2>&1; then
        cat "$work/output/$name"
        echo "FAILED: $name: $*"
        exit 1
    fi
    echo "ok: $name ($((SECONDS - started)) s)"
}

# play NAME...: run test playbooks, as talkative as can be.
play() {
    for name; do
        run "$name" ansible-playbook -vvvv -e "@$work/vars.json" "test_$name.yml"
    done
}

first() {
    begin first
    play release proof bulk inputs doors faults dispatch provider reading
    # Ansible does not keep the warnings of an action plugin in its result.
    run warned grep "WARNING.*1 of the interactions have no external id" "$work/output/dispatch"
    run numbered grep "WARNING.*A bare number is taken as text: external_ids" "$work/output/inputs"
    run secrets python helpers/secrets.py "$work/vars.json"
}

second() {
    begin second
    play journal
    # Not as talkative, since Ansible prints the environment of a task, and these give secrets there.
    for name in environment playbooks; do
        run "$name" ansible-playbook -e "@$work/vars.json" "test_$name.yml"
    done
    run confirmed python helpers/confirmed.py "$work/vars.json"
    run vaulted python helpers/vaulted.py "$work/vars.json"
    run killed python helpers/killed.py "$work/vars.json"
    # Each part of it once, where `make check` runs all series: the trace of a failure can be asked for in 2.19 and later.
    case $(ansible --version) in
    *"[core 2.16."*) parts=debug ;;
    *"[core 2.19."*) parts=modules ;;
    *"[core 2.21."*) parts=ad-hoc ;;
    *) parts="debug modules ad-hoc" ;;
    esac
    for part in $parts; do
        run "canary-$part" python helpers/canary.py "$work/vars.json" "$part"
    done
    run secrets-too python helpers/secrets.py "$work/vars.json"
}

# Two at a time, since Ansible leaves a second core idle. Each looks at its end for secrets and tokens in what was printed at the highest
# verbosity, and in the files that are left; but for token caches.
(first) &
one=$!
(second) &
other=$!
code=0
wait "$one" || code=1
wait "$other" || code=1
exit "$code"
