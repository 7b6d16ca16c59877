# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
Run every example of the guide on PostgreSQL with the installed collection and a server of their own.

test_documents.py compares its SQL with the code. The step of a pipeline and the credential of AWX are those of other pages.
"""

from __future__ import annotations

import pytest
import yaml
from jinja2 import Template

from ansible_collections.vonage.vcc.tests.examples.documents import (
    AAP,
    GUIDES,
    POSTGRESQL_GUIDE,
    example_with,
    read,
    rst_examples,
)

EXAMPLES = rst_examples(POSTGRESQL_GUIDE)
AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
PASSWORD = "a-long-random-string"
VANISHED = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "client_connection_check_interval": "10s",
}
RELEASE = "ansible localhost -m vonage.vcc.vcc_interaction -a external_id="


class Database:
    """The database server of the examples, and the home folder of a user who knows the password of every role."""

    def __init__(self, server, home):
        self.server = server
        self.passwords = home.folder / "pgpass"
        self.passwords.write_text(f"*:*:*:*:{PASSWORD}\n", encoding="utf-8")
        self.passwords.chmod(0o600)
        home.environment.update(PGPASSFILE=str(self.passwords), PGSSLROOTCERT=server.ca_path)

    def here(self, text):
        """Return an example with the server in place of the one that it names."""
        for name, value in (
            ("host=db.example", f"host=localhost\nport={self.server.port}"),
            ("db.example", f"localhost:{self.server.port}"),
            ("/run/secrets/pgpass", str(self.passwords)),
            *((path, self.server.ca_path) for path in AUTHORITIES),
        ):
            text = text.replace(name, value)
        return text

    def url(self, role):
        """Return the URL of the examples for a role."""
        return self.here(f"postgresql://{role}@db.example/vcc")

    def execute(self, sql, database="postgres"):
        """Execute the statements of an example as an administrator."""
        for statement in filter(None, map(str.strip, sql.split(";\n"))):
            self.server.execute(statement, database=database)

    def create(self, owner, *roles):
        """Create the database of the examples for its owner, and other roles."""
        for role in (owner, *roles):
            self.server.create_role(role, PASSWORD)
        self.server.execute(f"CREATE DATABASE vcc OWNER {owner}")

    def tables(self):
        """Return the number of tables of the journal."""
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'vcc_journal'"
        return self.server.execute(query, database="vcc")[0][0]


@pytest.fixture
def database(home, postgresql_programs):
    from ansible_collections.vonage.vcc.tests.postgresql.server import Server  # needs psycopg

    with Server(fsync=False, tls=True) as server:
        yield Database(server, home)


def sql_with(words):
    """Return the SQL that contains these words."""
    return example_with(words, [example for example in EXAMPLES if example.language == "sql"]).text


def test_every_block_is_covered():
    languages = " ".join(example.language for example in EXAMPLES)
    assert languages == "sql console ini yaml sql sql sql sql yaml sql"


def test_quick_start(home, database, effects):
    database.execute(sql_with("CREATE DATABASE"))
    *exports, dispatch = example_with("export VCC_JOURNAL", EXAMPLES).commands
    printed = home.run(database.here("\n".join([*exports, dispatch, dispatch])))
    assert printed.index("localhost | CHANGED") < printed.index("localhost | SUCCESS")
    assert printed.count("This task makes the journal") == 1
    assert effects() == [("dispatch", "case-4711")]
    assert not (home.folder / ".ansible" / "vonage_vcc").exists()


def test_step_of_a_pipeline(home, database, effects):
    """Run the step of the guide to pipelines twice, as GitLab does, with the variables that the guide names for a database."""
    database.create("vcc")
    (guide,) = [path for path in GUIDES if path.stem == "guide_pipelines"]
    (step,) = yaml.safe_load(example_with("script:", rst_examples(guide)).text).values()
    url = "postgresql://vcc@db.example/vcc"
    assert all(f"``{each}``" in read(guide) for each in (url, "VCC_JOURNAL", "PGSSLROOTCERT", "PGPASSWORD"))
    variables = {**step["variables"], "VCC_JOURNAL": database.here(url), "PGSSLROOTCERT": database.server.ca_path}
    home.environment.pop("PGPASSFILE")
    home.write({"closed-cases.txt": "case-1\ncase-2\n"})
    for changed in (1, 0):
        printed = home.run("\n".join(step["script"]), PGPASSWORD=PASSWORD, **variables)
        assert f"changed={changed} " in printed
        assert effects() == [("release", "case-1"), ("release", "case-2")]


def test_credential_of_awx(home, database, effects):
    """Set the variables that the injectors make of the inputs."""
    database.create("vcc")
    inputs, injectors = (
        yaml.safe_load(read(AAP / "credential-types" / f"journal-{part}.yml")) for part in ("inputs", "injectors")
    )
    assert [field["id"] for field in inputs["fields"]] == inputs["required"]
    given = dict(zip(inputs["required"], (database.url("vcc"), PASSWORD)))
    variables = {name: database.here(Template(value).render(given)) for name, value in injectors["env"].items()}
    home.environment.pop("PGPASSFILE")
    for state in ("CHANGED", "SUCCESS"):
        assert f"localhost | {state}" in home.run(f"{RELEASE}case-1", **variables)
    assert effects() == [("release", "case-1")]


def test_service(home, database, effects):
    database.create("vcc")
    home.write({"services": database.here(example_with("[vcc-journal]", EXAMPLES).text)})
    url = "postgresql:///?service=vcc-journal"
    assert f"``{url}``" in read(POSTGRESQL_GUIDE)
    printed = home.run(f"{RELEASE}case-1", VCC_JOURNAL=url, PGSERVICEFILE=str(home.work / "services"))
    assert "localhost | CHANGED" in printed
    assert effects() == [("release", "case-1")]
    assert database.tables()


def test_schema_that_a_task_makes(home, database):
    database.create("owner", "vcc")
    tasks = yaml.safe_load(database.here(example_with("grant_to:", EXAMPLES).text))
    for changed in (1, 0):
        assert f"changed={changed} " in home.run_tasks(tasks)
    assert "localhost | CHANGED" in home.run(f"{RELEASE}case-1", VCC_JOURNAL=database.url("vcc"))


def test_schema_that_an_administrator_makes(home, database, effects):
    database.create("owner", "vcc", "vcc_reader")
    for words in ("CREATE SCHEMA", "INSERT, UPDATE", "vcc_reader"):
        database.execute(sql_with(words), "vcc")
    tables = database.tables()
    check = f"{RELEASE}case-1 --check"
    assert "localhost | CHANGED" in home.run(check, VCC_JOURNAL=database.url("vcc_reader"))
    refused = home.run(f"{RELEASE}case-1 || true", VCC_JOURNAL=database.url("vcc_reader"))
    assert "may not write" in refused
    assert effects() == []
    assert "localhost | CHANGED" in home.run(f"{RELEASE}case-1", VCC_JOURNAL=database.url("vcc"))
    assert "localhost | SUCCESS" in home.run(check, VCC_JOURNAL=database.url("vcc_reader"))
    assert effects() == [("release", "case-1")]
    assert database.tables() == tables == 9


def test_tables_that_an_administrator_brings_to_this_version(home, database):
    database.create("owner", "vcc")
    for words in ("CREATE SCHEMA", "INSERT, UPDATE"):
        database.execute(sql_with(words), "vcc")
    database.execute("ALTER TABLE vcc_journal.custom_request DROP COLUMN unanswered", "vcc")
    database.execute("UPDATE vcc_journal.version SET version = 1", "vcc")
    command = f"{RELEASE}case-1 || true"
    assert "it was made by another version" in home.run(command, VCC_JOURNAL=database.url("vcc"))
    for words in ("UPDATE vcc_journal.version", "INSERT, UPDATE"):
        database.execute(sql_with(words), "vcc")
    assert "localhost | CHANGED" in home.run(command, VCC_JOURNAL=database.url("vcc"))


def test_settings_for_hosts_that_vanish(database):
    import psycopg

    database.create("vcc")
    database.execute(sql_with("tcp_keepalives_idle"))
    url = f"{database.url('vcc')}?passfile={database.passwords}&sslrootcert={database.server.ca_path}"
    with psycopg.connect(url) as connection:
        shown = [connection.execute(f"SHOW {name}").fetchone()[0] for name in VANISHED]
    assert shown == list(VANISHED.values())


def test_take_over_a_file(home, database, effects):
    database.create("vcc")
    path = str(home.work / "journal.db")
    home.run(f"{RELEASE}case-1", VCC_JOURNAL=path)
    example = example_with("import_from:", EXAMPLES).text.replace("/var/lib/vcc/journal.db", path)
    for changed in (1, 0):
        assert f"changed={changed} " in home.run_tasks(yaml.safe_load(database.here(example)))
    assert "localhost | SUCCESS" in home.run(f"{RELEASE}case-1", VCC_JOURNAL=database.url("vcc"))
    assert effects() == [("release", "case-1")]
