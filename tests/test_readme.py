import re

import pytest

from closure import ROOT

README = (ROOT / "README.md").read_text()
REPORT = (ROOT / "reports" / "comparison.md").read_text()


def test_the_published_table_is_the_one_that_the_report_stage_made():
    rows = [line for line in README.splitlines() if re.match(r"\| (cnn|model|nothing|always|arXiv)", line)]
    report = REPORT.splitlines()
    assert len(rows) >= 17
    assert [row for row in rows if row not in report] == []


def test_the_verdict_is_the_one_that_the_report_stage_computed():
    (verdict,) = re.findall(r"^(\*\*.*?\.) The sentence is computed", REPORT, re.MULTILINE)
    assert f"\n\n{verdict}\n\n" in README


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_what_the_readme_links_to_is_there(target):
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("target", re.findall(r"^    make (\w+)", README, re.MULTILINE))
def test_the_makefile_has_the_targets_that_the_readme_names(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
