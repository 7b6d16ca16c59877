#!/bin/sh
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Install Chromium, in which tests open pages, unless it is installed. If that fails, print which tests cannot run.
set -u
cd "$(dirname "$0")"

here() {
    command -v chromium || command -v chromium-browser || command -v google-chrome || command -v google-chrome-stable
}

here > /dev/null && exit 0
sh apt_install.sh chromium fonts-dejavu-core
here > /dev/null && exit 0

what=skipped
[ "${CI:-}" = true ] && what=failed
echo "The tests that look at pages are $what, because this machine does not have Chromium (apt-get install chromium)." >&2
exit 1
