from collections.abc import Mapping
from pathlib import Path

import pytest

from drawn_datasets import Reader, make_raw
from pocketface.datasets import Record, read


@pytest.fixture
def records(tmp_path: Path) -> Reader:
    """Packs members as `fetch_data` does and reads them: image -> its record."""

    def read_members(name: str, members: Mapping[str, bytes]) -> dict[str, Record]:
        archive = make_raw(tmp_path / name / "files.zip", members)
        return {record.image: record for record in read(name, archive)}

    return read_members
