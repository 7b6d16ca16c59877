# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients: tasks with the same connection share a client."""

from __future__ import annotations

import pytest


class TestClients:
    def test_equal_connections_share_token_and_socket(self, sim, task):
        clients = {}
        results = [task(external_id=name, clients=clients) for name in "abc"]
        assert len(sim.token_calls) == 1
        assert len({call["connection"] for call in sim.calls}) == 1
        assert [result["summary"]["api_calls"] for result in results] == [1, 1, 1]

    def test_different_connections_share_nothing(self, sim, task):
        clients = {}
        task(external_id="a", clients=clients)
        task(external_id="b", clients=clients, account="second")
        assert len(sim.token_calls) == len(clients) == 2

    def test_token_cache_is_shared_by_tasks(self, sim, task, tmp_path):
        for name in "abc":
            task(external_id=name, token_cache=str(tmp_path / "tokens.json"))
        assert len(sim.token_calls) == 1
        assert sim.released == ["a", "b", "c"]

    @pytest.mark.parametrize("check", [False, True])
    def test_unusable_token_cache_fails_before_any_call(self, sim, task, tmp_path, folder, check):
        (tmp_path / "link").symlink_to(tmp_path / "target")
        result = task(external_id="a", token_cache=str(tmp_path / "link"), check=check)
        assert result["failed"]
        assert f"The token cache {tmp_path}/link cannot be used (it is a symbolic link)" in result["msg"]
        assert sim.calls == []
        assert not folder.exists()

    def test_accounts_have_separate_rows(self, sim, task):
        task(external_id="a", account="first")
        assert task(external_id="a", account="second")["changed"]
        assert not task(external_id="a", account="first")["changed"]

    def test_clients_of_one_account_share_rows(self, sim, task):
        sim.add_client("other", "s3cret")
        task(external_id="a", account="first")
        assert not task(external_id="a", account="first", client_id="other", client_secret="s3cret")["changed"]
