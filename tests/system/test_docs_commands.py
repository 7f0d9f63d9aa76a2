"""Every command of the README and the docs is run by a test, and every flag in them is one that its command takes."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.docs.commands_page import commands as commands_of_adtally
from tests.support.docs.commands_page import flags
from tests.support.docs.documents import ROOT, CodeBlock, blocks, commands, inline
from tests.support.docs.settings_page import OTHERS, parsers

RUNNER = "tests/system/test_docs_run.py"

ELSEWHERE = {
    "make test": (".ci/run", "make test"),
    "export ADTALLY_KAFKA_SECURITY_PROTOCOL=SASL_SSL ADTALLY_KAFKA_SASL_MECHANISM=SCRAM-SHA-512": (
        "tests/system/test_security_kafka.py::test_the_whole_pipeline_runs_by_tls_and_a_password_from_a_file_and_shows_it_nowhere",
        "SCRAM-SHA-512",
    ),
    "export ADTALLY_KAFKA_SASL_USERNAME=… ADTALLY_KAFKA_SASL_PASSWORD=…": (
        "tests/system/test_security_kafka.py::test_records_come_and_go_by",
        "sasl.password",
    ),
    "export ADTALLY_BROKERS=kafka-1.example.com:9093": (
        "tests/system/test_security_kafka.py::test_records_come_and_go_by",
        "brokers",
    ),
    "export ADTALLY_KAFKA_SSL_CA_LOCATION=/etc/adtally/ca.pem": (
        "tests/system/test_security_kafka.py::test_records_come_and_go_by",
        "ssl.ca.location",
    ),
    "export ADTALLY_KAFKA_SASL_USERNAME=adtally ADTALLY_KAFKA_SASL_PASSWORD_FILE=/run/secrets/kafka-password": (
        "tests/system/test_security_kafka.py::test_the_whole_pipeline_runs_by_tls_and_a_password_from_a_file_and_shows_it_nowhere",
        "SASL_PASSWORD_FILE",
    ),
    "export ADTALLY_KAFKA_SECURITY_PROTOCOL=SSL": ("tests/system/test_security_kafka.py::test_records_come_and_go_by", '"SSL"'),
    "export ADTALLY_KAFKA_SSL_CERTIFICATE_LOCATION=/etc/adtally/client.pem ADTALLY_KAFKA_SSL_KEY_LOCATION=/etc/adtally/client.key": (
        "tests/system/test_security_kafka.py::test_records_come_and_go_by",
        "ssl.certificate.location",
    ),
    "export ADTALLY_KAFKA_SSL_KEY_PASSWORD_FILE=/run/secrets/key-password": (
        "tests/system/test_security_kafka.py::test_records_come_and_go_by",
        "ssl_key_password",
    ),
    "ADTALLY_DASHBOARD_PASSWORD_FILE=/run/secrets/dashboard adtally dashboard --address 0.0.0.0 --tls-certificate /etc/adtally/dash.pem "
    "--tls-key /etc/adtally/dash.key --allow-origin dash.example.com:8503": (
        "tests/panel_app/server/test_access.py::test_it_serves_https_itself",
        "--tls-certificate",
    ),
}
"""Commands that a test of their own runs: which, and a word that its file holds while it does."""

CHECKED = {
    "docker compose": (
        "tests/deploy/test_compose.py",
        "no engine runs in CI: the file's commands, images and settings are checked",
    ),
    "kubectl": (
        "tests/deploy/test_kubernetes.py",
        "no cluster runs in CI: the objects are held against the schemas, names against the code",
    ),
    "make bench ONLY=adtally,flink SIZES=4M,16M": (
        "tests/benchmarks/test_systems.py",
        "most of an hour; the same command is run with small sizes",
    ),
    "curl -sSfo rates.new": (
        "tests/figures/rates/test_files.py",
        "it downloads from the European Central Bank; the file's form is read",
    ),
    "make profile": ("tests/benchmarks/test_systems.py", "it installs a sampler from the network"),
}
"""What begins so is not run but checked: by what, and why."""


def literals(path: str) -> set[str]:
    """Every text in a Python file."""
    return {
        node.value
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_command_of_the_docs_is_run_by_a_test() -> None:
    run = literals(RUNNER) | set(ELSEWHERE)
    missing = [one for one in commands() if one not in run and not one.startswith(tuple(CHECKED))]
    assert missing == [], f"nothing runs them: add them to {RUNNER}"


def test_no_list_here_names_a_command_that_the_docs_have_no_more() -> None:
    known = commands()
    assert [one for one in ELSEWHERE if one not in known] == []
    assert [one for one in CHECKED if not any(command.startswith(one) for command in known)] == []


@pytest.mark.parametrize("command", ELSEWHERE)
def test_the_test_that_is_named_for_a_command_is_there_and_still_does_it(command: str) -> None:
    place, word = ELSEWHERE[command]
    path, _, test = place.partition("::")
    source = (ROOT / path).read_text()
    assert f"def {test}(" in source or not test
    helpers = "".join(one.read_text() for one in (ROOT / "tests/support/secured.py", ROOT / "tests/support/deploy/processes.py"))
    assert word in source + helpers


@pytest.mark.parametrize("beginning", CHECKED)
def test_what_is_not_run_is_checked_by_a_test_that_is_there(beginning: str) -> None:
    assert (ROOT / CHECKED[beginning][0]).is_file()


_FLAGS = {path: flags(program) for path, program, _ in commands_of_adtally()}
TAKEN = {
    **_FLAGS,
    **{command: {flag for action in parser._actions for flag in action.option_strings} for command, parser in parsers()},  # pyright: ignore[reportPrivateUsage] - argparse has no other way to its actions
    **{path.replace("adtally generate", "python -m generator"): taken for path, taken in _FLAGS.items()},
    "python -m panel_app": _FLAGS["adtally dashboard"],
}
"""The flags of each command."""


@pytest.mark.parametrize("text", sorted({*commands(), *inline()}))
def test_every_flag_and_target_in_the_docs_is_one_that_there_is(text: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for part in re.split(r"&&|\|", text):
        words = [word for word in part.split() if not word.startswith("ADTALLY_")]
        line = " ".join(words).removeprefix(".venv/bin/")
        if line.startswith("make ") and not line.endswith("…"):
            target, *variables = words[1:]
            assert f"\n{target}:" in makefile, target
            assert {one.partition("=")[0] for one in variables} <= {name for name, _, _ in OTHERS}
        command = max((name for name in TAKEN if line.startswith(name)), key=len, default=None)
        if command:
            given = {
                flag.partition("=")[0].strip("[]")
                for flag in line.removeprefix(command).split()
                if re.match(r"\[?--?[a-z]", flag)
            }
            assert given - {"--help"} <= TAKEN[command]
        elif line.startswith("python -m "):
            module = words[2].replace(".", "/")
            assert any((ROOT / where).exists() for where in (f"{module}.py", f"{module}/__main__.py")) or module.startswith(
                "bytewax/"
            )


def test_a_block_of_commands_is_marked_as_one() -> None:
    def like_a_command(block: CodeBlock) -> bool:
        return bool(re.search(r"^(python|make|docker|kubectl|adtally|export|curl|\.venv|deploy/)\S* ", block.text, re.MULTILINE))

    assert [block.text for block in blocks() if not block.language and like_a_command(block)] == []
