"""Reads a DataPlatform from a file."""

from pathlib import Path

import yaml

from rolevend.errors import InvalidInput
from rolevend.kinds import DataPlatform, parse


def read(manifest: Path) -> DataPlatform:
    """Return the DataPlatform in the file. Raises InvalidInput unless there is exactly one."""
    try:
        documents = [each for each in yaml.safe_load_all(manifest.read_text()) if isinstance(each, dict)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(str(manifest), f"cannot be read as YAML: {' '.join(str(error).split())}") from error
    platforms = [each for each in documents if each.get("kind") == "DataPlatform"]
    if len(platforms) != 1:
        raise InvalidInput(str(manifest), f"must hold one object of kind DataPlatform, and holds {len(platforms)}")
    return parse(DataPlatform, platforms[0])
