"""Pages on the embedded AWS: published where people may fetch them, and made by the command from what is deployed."""

import json
from pathlib import Path

import pytest

from tests.system.system import System

pytestmark = pytest.mark.system


def test_the_pages_are_published_and_an_operator_fetches_them(system: System) -> None:
    system.put("beta", {"data/precious": b"x"})
    system.record("beta")
    asked = json.dumps({"reason": "operator"})
    answer = system.client("lambda").invoke(FunctionName="rwm-publish-pages", Payload=asked)
    written = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, written
    assert "beta" in written["written"]
    assert written["failed"] == {}
    operator = system.client("s3", "operator")
    for name, told in (("beta", "<h1"), ("_all", "All repositories")):
        found = operator.get_object(Bucket=system.records, Key=f"pages/{name}.html")
        assert found["ContentType"] == "text/html; charset=utf-8"
        html = found["Body"].read().decode()
        assert html.startswith("<!doctype html>")
        assert told in html
        assert "data/precious" not in html


def test_an_operator_makes_the_same_page_and_asks_what_it_costs(system: System, tmp_path: Path) -> None:
    system.put("beta", {"data/precious": b"x"})
    system.record("beta")
    file = tmp_path / "beta.html"
    found = system.rwm("report", "beta", "--html", str(file))
    assert found.exit_code == 0
    assert found.document["repository"] == "beta"
    assert file.read_text().endswith("</html>\n")
    assert {each["repository"] for each in system.rwm("report", "--all").document["pages"]} >= {"alpha", "beta"}
    cost = system.rwm("cost", "beta").document
    assert cost["month"] > 0
    assert cost["estimate"]["lines"][0]["what"] == "objects in STANDARD"
