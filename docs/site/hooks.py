"""Hooks of MkDocs: links that leave docs/ lead to the repository, and diagrams are drawn by a script of the site itself."""

import hashlib
import re
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

from testbed import node
from testbed.binaries import cache_folder

ROOT = Path(__file__).parents[2]
MERMAID = "11.17.2"
MERMAID_DIGEST = "581ed7d74bd9048d0e3a91363927d72ef22942d7722546b27f7cc29e35390eb8"
"""SHA-256 of its script. The theme would load it from a host of others."""
_SCRIPT = "assets/mermaid.min.js"
_PICTURE = re.compile(r' (src|srcset)="(?:\.\./)+(images/[^"]+)"')
_LINK = re.compile(r"(\]\()((?:\.\./)+[^)\s#]+)((?:#[^)\s]*)?\))")


def on_files(files: Any, config: Any, **_: Any) -> Any:
    files.append(File.generated(config, _SCRIPT, abs_src_path=str(_mermaid())))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return the text with such links, and with pictures where the page finds them: MkDocs leaves HTML as it is.

    A link to a file that does not exist stays as it is, and the strict build fails. Raises `PluginError` for such a picture.
    """
    folder = Path(page.file.abs_src_path).parent

    def absolute(link: re.Match[str]) -> str:
        there = (folder / link[2]).resolve()
        outside = not there.is_relative_to(config.docs_dir) and there.is_relative_to(ROOT) and there.exists()
        return f"{link[1]}{config.repo_url.rstrip('/')}/blob/main/{there.relative_to(ROOT)}{link[3]}" if outside else link[0]

    def picture(found: re.Match[str]) -> str:
        if not Path(config.docs_dir, found[2]).is_file():
            raise PluginError(f"{page.file.src_path} shows {found[2]}, which does not exist")
        return f' {found[1]}="{get_relative_url(found[2], page.url)}"'

    return _PICTURE.sub(picture, _LINK.sub(absolute, markdown))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Return the page with the script, if it has a diagram: 3 MB."""
    if 'class="mermaid"' not in output:
        return output
    depth = page.url.count("/")
    return output.replace("</head>", f'<script src="{"../" * depth}{_SCRIPT}"></script></head>', 1)


def _mermaid() -> Path:
    """Return the script, from the user's cache folder or from npm. Raises `PluginError` if it is not the one that we know."""
    kept = cache_folder() / f"mermaid-{MERMAID}.min.js"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            package = node.npm("pack", f"mermaid@{MERMAID}", folder=Path(folder)).split()[-1]
            with tarfile.open(Path(folder, package)) as archive:
                file = archive.extractfile("package/dist/mermaid.min.js")
                script = b"" if file is None else file.read()
        if hashlib.sha256(script).hexdigest() != MERMAID_DIGEST:
            raise PluginError(f"mermaid {MERMAID} from npm is not the one whose digest docs/site/hooks.py has")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(script)
    return kept
