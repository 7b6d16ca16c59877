# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of Sphinx for the documentation site."""

from __future__ import annotations

project = "vonage.vcc"
copyright = "2026 The vonage.vcc authors"
title = "Vonage Contact Center for Ansible"
html_title = title
html_short_title = "vonage.vcc"

extensions = ["sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
intersphinx_mapping = {"ansible": ("https://docs.ansible.com/ansible/latest/", "../ansible.inv")}  # build.py writes it
default_role = "any"
nitpicky = True
pygments_style = "ansible"
highlight_language = "YAML+Jinja"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
