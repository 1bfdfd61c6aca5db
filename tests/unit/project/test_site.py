"""The site of the documentation: it loads nothing from other hosts, and draws its diagrams by itself. `make check` builds it strictly."""

import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).parents[3]


@pytest.mark.long
def test_its_pages_load_nothing_from_elsewhere_and_links_to_the_code_lead_to_the_repository(tmp_path: Path):
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path))
    build(config)
    pages = {page: page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html")}
    assert len(pages) > 70
    loading = r"<(?:script|img|iframe)[^>]* src=\"?(\w+:[^\" >]+)|<link[^>]* rel=\"?(?:stylesheet|icon|preload)[^>]* href=\"?(\w+:[^\" >]+)"
    assert {page: found for page, text in pages.items() if (found := re.findall(loading, text))} == {}
    diagrams = {page for page, text in pages.items() if 'class="mermaid"' in text}
    assert len(diagrams) >= 5
    for page in diagrams:
        (script,) = re.findall(r'<script src="([^"]+mermaid[^"]+)"', pages[page])
        assert (page.parent / script).resolve() == tmp_path / "assets" / "mermaid.min.js"
    for page in (page for page, text in pages.items() if "images/console/" in text):
        for picture in re.findall(r' (?:src|srcset)="?([^" >]*images/console/[^" >]+)', pages[page]):
            assert (page.parent / picture).is_file()
    start = pages[tmp_path / "tutorial" / "first-role" / "index.html"]
    assert f'href="{config.repo_url}/blob/main/examples/' in start


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[gone](../examples/gone.md)")
    config = load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(tmp_path / "docs"), site_dir=str(tmp_path / "site"), nav=None)
    with pytest.raises(Abort):
        build(config)
