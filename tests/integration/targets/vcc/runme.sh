#!/usr/bin/env bash
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Run the collection against the simulator, with real Ansible processes that write to a temporary folder only.

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

# Use nothing from the environment or the home folder of the caller.
for name in $(compgen -e); do
    case $name in
    VCC_* | *_PROXY | *_proxy | *_CA_BUNDLE | NETRC | ANSIBLE_PYTHON_INTERPRETER) unset "$name" ;;
    esac
done
export ANSIBLE_NOCOLOR=1 ANSIBLE_FORCE_COLOR=0 ANSIBLE_LOCALHOST_WARNING=0 ANSIBLE_INVENTORY_UNPARSED_WARNING=0
# The result of a module has its invocation, that of the action plugin has none. The tests use this to tell which of them ran.
export ANSIBLE_INJECT_INVOCATION=1

# begin NAME: start a simulator and create a folder for the following commands.
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

# run NAME COMMAND...: run a command with its output in a file, and show the file if the command fails.
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

# play NAME...: run test playbooks at the highest verbosity.
play() {
    for name; do
        run "$name" ansible-playbook -vvvv -e "@$work/vars.json" "test_$name.yml"
    done
}

first() {
    begin first
    play release confirmation bulk inputs execution faults dispatch provider info
    # Ansible does not keep the warnings of an action plugin in its result.
    run warned grep "WARNING.*1 of the interactions have no external id" "$work/output/dispatch"
    run numbered grep "WARNING.*A number without quotes is used as text: external_ids" "$work/output/inputs"
    run secrets python helpers/secrets.py "$work/vars.json"
}

second() {
    begin second
    play journal
    # At a lower verbosity, because Ansible prints the environment of a task, and these tasks have secrets there.
    for name in environment playbooks jobs; do
        run "$name" ansible-playbook -e "@$work/vars.json" "test_$name.yml"
    done
    run confirmed python helpers/confirmed.py "$work/vars.json"
    run vaulted python helpers/vaulted.py "$work/vars.json"
    run killed python helpers/killed.py "$work/vars.json"
    # Run each part with one ansible-core; `make check` runs all versions. Tracebacks on demand need 2.19 or later.
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

# Run two at a time, because Ansible leaves a second core idle. At its end, each searches the output at the highest verbosity and all
# remaining files for secrets and tokens, except for tokens in token caches.
(first) &
one=$!
(second) &
other=$!
code=0
wait "$one" || code=1
wait "$other" || code=1
exit "$code"
