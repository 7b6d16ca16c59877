# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replace the get-pip script that ansible-test downloads: install the requested pip from the package index.

ansible-test runs this in an empty virtual environment, with requirements such as `pip==24.2` and options of get-pip as arguments.
"""

from __future__ import annotations

import subprocess
import sys

packages = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
python = [sys.executable, "-m"]
# A separate process, because ensurepip disables the configuration of pip.
subprocess.run([*python, "ensurepip"], stdout=subprocess.DEVNULL, check=True)
subprocess.run(
    [*python, "pip", "--disable-pip-version-check", "install", "--quiet", "--upgrade", *packages], check=True
)
