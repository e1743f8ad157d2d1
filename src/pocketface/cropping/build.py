"""A dataset's zip of pictures to a folder of faces: in parallel, the same bytes for any number of workers.

Pictures are cut into shards in the order of their names. Each is written whole to a scratch folder, named for
all that decides the result (pictures, settings, code, libraries), from which a killed run continues; at the
end they are joined. The engine is Dask: processes here, or behind a scheduler's address, which must see the
same files at the same absolute paths.
"""

import functools
import hashlib
import json
import logging
import math
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING

import ai_edge_litert
import cv2
import dlib
import imagehash
import numpy as np
import pandas as pd
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

import pocketface
from pocketface import datasets
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import remove, write_json, written_whole
from pocketface.core.hashing import hashed_split, reserved
from pocketface.core.labels import CELEBA_ATTRIBUTES, CLASSES
from pocketface.cropping import people
from pocketface.cropping.crop import crop_picture
from pocketface.cropping.detect import Box, dlib_points, scaled
from pocketface.cropping.picture import Rejected, decode_reduced, pillow_heif
from pocketface.datasets import Record
from pocketface.faces import duplicates
from pocketface.faces.index import BY_DESCRIPTOR, COLUMNS, CROP, FACES, INDEX, OK
from pocketface.faces.settings import Crop, Dataset

if TYPE_CHECKING:
    from distributed import Client

SHARD = 256
"""Pictures. About a second of work, so that a lost shard is cheap and its overhead small."""

SCRATCH = ".shards"

LABELS = ("age", "gender", "race", "expression")
"""Label columns that every index has, first and in this order."""

LIBRARIES = (ai_edge_litert, cv2, dlib, imagehash, np, PIL, pillow_heif)
"""What, besides our own code, decides the pixels and which of them are copies."""

CODE = ("core", "cropping", "datasets", "faces")
"""The packages that decide them."""

CONNECT_SECONDS = 20


@dataclass(frozen=True)
class Shard:
    """A run of pictures to crop, and the file to write the result to.

    Attributes:
        dataset, archive, crop: whose pictures, where, and how.
        pictures: their names, each with what is wrong with it, which is not opened then, or nothing.
        people: whether the faces get descriptors.
        file: where `crop_shard` puts an `.npz`: `faces`, uint8 `[accepted, H, W, C]`, if asked for their
            `descriptors`, float32 `[accepted, 128]`, and per picture `status`, `box` int32 `[4]` and `phash`
            uint64 (zeros without a face), `source_sha` (empty if not opened).
    """

    dataset: str
    archive: Path
    crop: Crop
    pictures: tuple[tuple[str, str], ...]
    people: bool
    file: Path


def build(
    dataset: str,
    archive: Path,
    settings: Dataset,
    out: Path,
    workers: int | None = None,
    scheduler: str | None = None,
) -> pd.DataFrame:
    """Crops the pictures of a zip; writes the folder `out` whole, as `pocketface.faces.index` describes it.

    Args:
        workers: processes on this machine; as many as it has processors by default.
        scheduler: address of a Dask scheduler whose workers do the work instead.

    Returns:
        The index.

    Raises:
        PocketfaceError: the archive is missing or damaged, no face was accepted, the disk is full, or the
            workers cannot be reached or keep dying.
    """
    archive, out = Path(archive).absolute(), Path(out).absolute()
    records = _records(dataset, archive, settings.sample)
    pictures = list(zip(records["image"], records.pop("problem").fillna(""), strict=True))
    scratch = out.parent / SCRATCH / dataset
    folder = scratch / _key(dataset, archive, pictures, settings)
    shards = []
    for start in range(0, len(pictures), SHARD):
        part = tuple(pictures[start : start + SHARD])
        name = hashlib.sha256("\n".join(image for image, _ in part).encode()).hexdigest()[:16]
        shards.append(
            Shard(dataset, archive, settings.crop, part, settings.people is not None, folder / f"{name}.npz")
        )
    del pictures
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in set(scratch.iterdir()) - {folder}:
            remove(stale)
        accepted = _crop_all(shards, workers or cpu_count() or 1, scheduler)
        index = _index(records, shards)
        with written_whole(out) as partial:
            partial.mkdir()
            _join_faces(shards, accepted, partial / FACES)
            _settle(index, partial / FACES, settings)
            if settings.people and accepted and index.get("identity", pd.Series()).isna().all():
                index["identity"] = _persons(index, shards)
            # In one piece: the bytes of the file do not tell of the shards.
            pq.write_table(
                pa.Table.from_pandas(index, preserve_index=False).combine_chunks(), partial / INDEX
            )
            write_json(partial / CROP, {"dataset": dataset, "crop": settings.crop.model_dump(mode="json")})
    except OSError as error:
        raise PocketfaceError(
            f"{error.filename or out}: {error.strerror or error}; what is done stays in {scratch}: "
            "put it right and run again"
        ) from None
    remove(scratch)
    with suppress(OSError):  # another dataset's shards may lie there
        scratch.parent.rmdir()
    if not (index["status"] == OK).any():
        raise PocketfaceError(_why_none(dataset, archive, index))
    return index


def _settle(index: pd.DataFrame, faces: Path, settings: Dataset) -> None:
    """Finds copies, gives a split by content to what has none, and a status to what does not count."""
    found = index["face"].notna()
    shape = settings.crop.size, settings.crop.size, settings.crop.channels
    start = faces.stat().st_size - found.sum() * math.prod(shape)

    def thumbnail(face: int) -> np.ndarray:
        # Read and not mapped: pages of a map stay in memory once they were looked at.
        pixels = np.fromfile(faces, np.uint8, math.prod(shape), offset=start + face * math.prod(shape))
        return duplicates.thumbnail(pixels.reshape(shape), settings.crop)

    group = duplicates.same_picture(
        index.loc[found, "phash"].to_numpy(np.uint64),
        index.loc[found, "source_sha"].tolist(),
        thumbnail,
        duplicates.least_correlation(settings.crop),
    )
    content = index["source_sha"].copy()
    content[found] = content[found].groupby(group).transform("min")
    named = set(index["split"].dropna())
    by_content = content.map(hashed_split, na_action="ignore")
    if "test" in named:  # a dataset's own test part is enough
        by_content = by_content.replace("test", "val")
    index["split"] = index["split"].where(index["split"].notna(), by_content)
    if "val" in named and "test" not in named:
        who = index["identity"].fillna(content) if "identity" in index else content
        for_test = who.map(reserved, na_action="ignore").eq(True) & (index["split"] == "val")
        index["split"] = index["split"].mask(for_test, "test")
    labels = [str(column) for column in index if column not in COLUMNS]
    judged = duplicates.judge(index[found], group, labels, settings.contradictory)
    index.loc[found, ["status", "same_as"]] = judged


def _persons(index: pd.DataFrame, shards: Sequence[Shard]) -> pd.Series:
    """Who is on each picture, named by the first of the hashes of the person's pictures."""
    known = []
    for shard in shards:
        with np.load(shard.file) as done:
            known += [done["descriptors"]] if len(done["descriptors"]) else []
    shas = index.loc[index["face"].notna(), "source_sha"]
    first = shas.groupby(people.persons(np.concatenate(known))).transform("min")
    return (BY_DESCRIPTOR + first.str[:12]).reindex(index.index)


def _why_none(dataset: str, archive: Path, index: pd.DataFrame) -> str:
    reason = index["status"].value_counts().idxmax()
    rejected = index[index["status"] == reason]
    remedy = f"look at `datasets.{dataset}.crop` in the params"
    if reason == "bad_name":
        remedy = f"the names of {dataset} are {datasets.expected_names(dataset)}"
    return (
        f"{archive}: no face was accepted in {len(index)} pictures; {len(rejected)} of them: {reason}, "
        f"e.g. {rejected['image'].iloc[0]}; {remedy}"
    )


def crop_shard(shard: Shard) -> Counter[str]:
    """Crops the pictures of a shard, writes its file, and counts them by status. Runs in a worker."""
    if not shard.file.exists():
        cv2.setNumThreads(1)
        archive = _opened(shard.archive, shard.archive.stat().st_mtime_ns)
        results = [
            (problem, None, None, None, "")
            if problem
            else _crop_one(datasets.open_picture(shard.dataset, archive, image), shard)
            for image, problem in shard.pictures
        ]
        statuses, faces, boxes, known, shas = zip(*results, strict=True)
        side, channels = shard.crop.size, shard.crop.channels
        accepted = [face for face in faces if face is not None]
        looks = [duplicates.thumbnail(face, shard.crop) for face in accepted]
        phash = np.zeros(len(faces), np.uint64)
        phash[[face is not None for face in faces]] = np.array(
            [*map(duplicates.perceptual_hash, looks)], np.uint64
        )
        # A name of its own: a worker that Dask gave up on may still be at the same shard.
        unique = shard.file.with_name(f".{uuid.uuid4().hex}.npz")
        with written_whole(unique) as partial, partial.open("wb") as file:
            np.savez(
                file,
                faces=np.array(accepted, np.uint8).reshape(len(accepted), side, side, channels),
                descriptors=np.array([one for one in known if one is not None], np.float32),
                status=np.array(statuses),
                box=np.array([box or (0, 0, 0, 0) for box in boxes], np.int32),
                phash=phash,
                source_sha=np.array(shas),
            )
        unique.replace(shard.file)
    with np.load(shard.file) as done:
        return Counter(done["status"].tolist())


def _crop_one(data: bytes, shard: Shard) -> tuple[str, np.ndarray | None, Box | None, np.ndarray | None, str]:
    source_sha = hashlib.sha256(data).hexdigest()
    try:
        picture, reduction = decode_reduced(data)
        face, box = crop_picture(picture, shard.crop)
    except Rejected as rejected:
        return rejected.reason, None, None, None, source_sha
    known = people.descriptor(picture, dlib_points(picture, box)) if shard.people else None
    return OK, face, scaled(box, reduction), known, source_sha


@functools.lru_cache(maxsize=1)
def _opened(archive: Path, modified: int) -> zipfile.ZipFile:
    """The archive, opened once a process: its directory of 200,000 names takes a second to read."""
    return zipfile.ZipFile(archive)


def _crop_all(shards: Sequence[Shard], workers: int, scheduler: str | None) -> int:
    """Sees to it that every shard is done; returns how many faces were accepted."""
    to_do = [shard for shard in shards if not shard.file.exists()]
    workers = min(workers, len(to_do))
    alone = scheduler is None and workers <= 1
    here = shards if alone else [shard for shard in shards if shard.file.exists()]
    done = chain(map(crop_shard, here), () if alone else _distribute(to_do, workers, scheduler))
    counts: Counter[str] = Counter()
    pictures = sum(len(shard.pictures) for shard in shards)
    with tqdm(total=pictures, desc=f"crop {shards[0].dataset}", unit="picture", mininterval=1) as bar:
        for found in done:
            counts += found
            bar.set_postfix(rejected=counts.total() - counts[OK], refresh=False)
            bar.update(found.total())
    return counts[OK]


def _distribute(shards: Sequence[Shard], workers: int, scheduler: str | None) -> Iterator[Counter[str]]:
    # Imported here: what needs no cluster does without, and it takes half a second.
    from distributed import KilledWorker, as_completed

    by_key = {f"crop-{shard.file.stem}-{shard.file.parent.name}": shard for shard in shards}
    with _client(workers, scheduler) as client:
        futures = client.map(crop_shard, list(by_key.values()), key=list(by_key), pure=False)
        try:
            for future in as_completed(futures):
                yield future.result()
        except KilledWorker as error:
            shard = by_key[str(error.task)]
            raise PocketfaceError(
                f"{shard.archive}: worker after worker died between {shard.pictures[0][0]} and "
                f"{shard.pictures[-1][0]}; out of memory? Try fewer with --workers"
            ) from None


def _client(workers: int, scheduler: str | None) -> "Client":
    from distributed import Client

    if scheduler is None:
        # What goes wrong is raised here, where a person reads it.
        quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
        return Client(n_workers=workers, threads_per_worker=1, memory_limit=None, **quiet)
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise PocketfaceError(f"{scheduler}: no Dask scheduler answers there: {error}") from None
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError:
        client.close()
        raise PocketfaceError(
            f"{scheduler}: has no workers; start one with `dask worker {scheduler}`"
        ) from None
    return client


def _key(dataset: str, archive: Path, pictures: Sequence[tuple[str, str]], settings: Dataset) -> str:
    code = sorted(path for part in CODE for path in (Path(pocketface.__file__).parent / part).glob("*.*"))
    decides = [
        dataset,
        settings.crop.model_dump(mode="json"),
        settings.people,
        [hashlib.sha256(path.read_bytes()).hexdigest() for path in code],
        [getattr(library, "__version__", None) for library in LIBRARIES],
    ]
    key = hashlib.sha256(json.dumps(decides).encode())
    with zipfile.ZipFile(archive) as opened:  # line by line: there may be 200,000
        members = ((member.filename, member.file_size, member.CRC) for member in opened.infolist())
        for line in chain(members, pictures):
            key.update(repr(line).encode())
    return key.hexdigest()[:16]


def _join_faces(shards: Sequence[Shard], accepted: int, path: Path) -> None:
    """Writes `faces.npy` shard by shard.

    Written and not mapped: on a full disk a write fails with a message, a map kills the process.
    """
    crop = shards[0].crop
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)),
        "fortran_order": False,
        "shape": (accepted, crop.size, crop.size, crop.channels),
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for shard in shards:
            with np.load(shard.file) as done:
                file.write(done["faces"].data)


def _records(dataset: str, archive: Path, sample: float) -> pd.DataFrame:
    """The records of the pictures in a sample: `image`, `split`, `problem` and the labels.

    They are put together part by part, since a `Record` takes four times the memory of its row.
    """
    found = (record for record in datasets.read(dataset, archive) if datasets.in_sample(record.image, sample))
    parts = [_rows(part) for part in iter(lambda: list(islice(found, SHARD)), [])]
    if not parts:
        raise PocketfaceError(f"{dataset}: no picture is in a sample of {sample}; take a larger `sample`")
    table = pd.concat(parts, ignore_index=True)
    columns = dict.fromkeys(["image", "split", "problem", *LABELS, *datasets.labels(dataset), *table])
    return _typed(table.reindex(columns=list(columns)))


def _rows(records: Iterable[Record]) -> pd.DataFrame:
    known = [
        {"image": record.image, "split": record.split, "problem": record.problem, **record.labels}
        for record in records
    ]
    return _typed(pd.DataFrame(known, dtype=object))


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    years = {name for name in table if str(name).startswith("age") and name not in CLASSES}
    dtypes = {
        name: "Int8" if name in CELEBA_ATTRIBUTES else "float64" if name in years else "str" for name in table
    }
    return table.astype(dtypes)


def _index(records: pd.DataFrame, shards: Sequence[Shard]) -> pd.DataFrame:
    """The index: one row a record, columns as `pocketface.faces.index` says."""
    index = pd.concat([records, pd.concat(map(_cropped, shards), ignore_index=True)], axis=1)
    accepted = index["status"] == OK
    index["face"] = (accepted.cumsum() - 1).astype("Int64").where(accepted)
    index["same_as"] = pd.Series(index=index.index, dtype="str")
    return index[[*COLUMNS, *records.columns.difference(list(COLUMNS), sort=False)]]


def _cropped(shard: Shard) -> pd.DataFrame:
    """What became of a shard's pictures."""
    with np.load(shard.file) as done:
        status, box, phash, source_sha = (done[name] for name in ("status", "box", "phash", "source_sha"))
    accepted = status == OK
    return pd.DataFrame(
        {
            "status": status,
            "box": [edges.tolist() if ok else None for edges, ok in zip(box, accepted, strict=True)],
            "source_sha": [digest or None for digest in source_sha.tolist()],
            "phash": pd.Series(phash, dtype="UInt64").where(accepted),
        }
    ).astype({"box": object, "source_sha": "str"})
