"""The docs as a site: it is built without a warning, loads nothing from elsewhere, and each alarm has its section."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.docs_site import ELSEWHERE, relink, slug
from tests.support.docs.documents import PAGES, ROOT

OPERATIONS = (ROOT / "docs/operations.md").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_every_page_is_built_and_names_no_other_host_to_load_from(site: Path) -> None:
    pages = sorted(page.name for page in site.glob("*.html"))
    assert {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")} | {
        "index.html",
        "kubernetes.html",
        "benchmarks.html",
    } <= set(pages)
    for page in pages:
        loaded = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"?([^\" >]+)", (site / page).read_text())
        assert loaded
        assert [one for one in loaded if one.startswith(("http:", "https:", "//"))] == [], page


def test_a_link_to_nowhere_fails_the_build(tmp_path: Path) -> None:
    for name in ("deploy", "README.md", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "mkdocs.yml").write_text((ROOT / "mkdocs.yml").read_text())
    with (tmp_path / "docs" / "api.md").open("a") as page:
        page.write("\n[gone](contract.md#no-such-place)\n")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no-such-place" in done.stderr


def test_links_lead_to_pages_and_other_targets_are_named() -> None:
    assert relink("[a](docs/api.md#columns)", "README.md") == "[a](api.md#columns)"
    assert relink("![p](docs/dashboard.png)", "README.md") == "![p](dashboard.png)"
    assert relink("[k](../deploy/kubernetes/README.md)", "docs/operations.md") == "[k](kubernetes.md)"
    assert relink("[perf](../docs/dashboard.md)", ELSEWHERE["benchmarks.md"]) == "[perf](dashboard.md)"
    assert relink("[a](../api.md#columns)", "docs/adr/0001-a.md") == "[a](../api.md#columns)"
    assert relink("[k](../../README.md)", "docs/adr/0001-a.md") == "[k](../index.md)"
    assert relink("[adr](adr/README.md)", "docs/architecture.md") == "[adr](adr/README.md)"
    assert relink("[`schema.py`](../dataflows/contract/schema.py)", "docs/contract.md") == "`schema.py`"
    assert relink("[guard](guard.json)", ELSEWHERE["benchmarks.md"]) == "guard (`benchmarks/guard.json`)"
    assert (
        relink("[gone](nowhere.py) [far](https://example.com/)", "README.md") == "[gone](nowhere.py) [far](https://example.com/)"
    )


def test_an_anchor_is_that_of_github() -> None:
    assert slug("Rejected events, and past windows", "-") == "rejected-events-and-past-windows"
    assert slug("`/api/results`", "-") == "apiresults"


def sections() -> dict[str, str]:
    """Each alarm of the guide: its anchor and its text."""
    return {
        name: f"{anchor}\n{text}"
        for anchor, name, text in re.findall(
            r'^### <a id="(alert-[a-z-]+)"></a>(\w+)\n(.*?)(?=^##)', OPERATIONS, re.MULTILINE | re.DOTALL
        )
    }


def test_each_alarm_of_the_guide_says_what_it_means_and_what_to_do_under_its_own_anchor() -> None:
    assert len(sections()) >= 13
    for name, text in sections().items():
        assert text.startswith("alert" + re.sub(r"([A-Z])", r"-\1", name).lower() + "\n"), name
        assert "**Means:**" in text, name
        assert "**Do:**" in text, name


def test_each_alert_rule_has_its_section_and_each_section_its_rule() -> None:
    files = [yaml.safe_load(file.read_text()) for file in (ROOT / "deploy" / "monitoring").glob("*.y*ml")]
    rules = [rule for file in files for group in file.get("groups", []) for rule in group["rules"] if "alert" in rule]
    assert {rule["alert"] for rule in rules} == set(sections())
    for rule in rules:
        anchor = sections()[rule["alert"]].partition("\n")[0]
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{anchor}"


def test_the_architecture_answers_where_things_are_and_its_packages_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    questions = text.partition("## Where is …?")[2].partition("\n## ")[0]
    assert questions.count("?") >= 15
    packages = {name.replace(".", "/") for name in re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE)}
    assert len(packages) >= 15
    assert [path for path in sorted(packages) if not (ROOT / path).is_dir()] == []


@pytest.mark.parametrize("page", [*PAGES, *sorted(f"docs/adr/{page.name}" for page in (ROOT / "docs" / "adr").glob("*.md"))])
def test_every_path_in_the_source_tree_that_a_page_names_exists(page: str) -> None:
    folders = "adtally|benchmarks|dataflows|deploy|docs|figures|generator|panel_app|tests"
    paths = set(re.findall(rf"`((?:{folders})/[\w./-]+)`", (ROOT / page).read_text()))
    made = {"deploy/kafka/lib", "deploy/kafka/data", "deploy/adtally.env"}  # by a local Kafka, or by the operator
    assert [path for path in sorted(paths) if not (ROOT / path).exists() and path.rstrip("/") not in made] == []
