"""A dataset's zip of pictures to a folder of faces: in parallel, the same bytes for any number of workers.

Pictures are listed, and cut into shards in the order of their names. Each is written whole to a scratch
folder, named for all that decides the result (pictures, settings, code, libraries), from which a killed run
continues. At the end they are joined, some at a time: no table of all is held here but of what finds copies.
The engine is Dask: processes here, or behind a scheduler's address, which must see the same files at the same
absolute paths.
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
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain, islice
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from pocketface.core.budget import PICTURE
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import remove, write_json, written_whole
from pocketface.core.hashing import hashed_split, reserved
from pocketface.core.labels import CELEBA_ATTRIBUTES, CLASSES
from pocketface.core.threads import in_fork
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

TOGETHER = 32
"""Shards that are joined at a time, each of which becomes a row group of the index."""

SCRATCH = ".shards"
PICTURES = "pictures.parquet"
"""In the scratch folder: the records of all pictures, and where they stand, a row group a shard."""
PLACE = tuple(f".{name}" for name in datasets.Place._fields)  # somebody's label may be called `size`
OPENED = ("problem", *PLACE)
"""Its columns that serve to open the pictures."""

LABELS = ("age", "gender", "race", "expression")
"""Label columns that every index has, first and in this order."""

LIBRARIES = (ai_edge_litert, cv2, dlib, imagehash, np, PIL, pillow_heif)
"""What, besides our own code, decides the pixels and which of them are copies."""

CODE = ("core", "cropping", "datasets", "faces")
"""The packages that decide them."""

CONNECT_SECONDS = 20


@dataclass(frozen=True)
class Shard:
    """A run of pictures to crop.

    Attributes:
        dataset, archive, crop: whose pictures, where, and how.
        people: whether the faces get descriptors.
        pictures: what `_list` wrote.
        number: which of its row groups.
    """

    dataset: str
    archive: Path
    crop: Crop
    people: bool
    pictures: Path
    number: int

    @property
    def file(self) -> Path:
        """Where `crop_shard` puts an `.npz`: `faces`, uint8 `[accepted, H, W, C]`, if asked for their
        `descriptors`, float32 `[accepted, 128]`, and per picture `status`, `box` int32 `[4]` and `phash`
        uint64 (zeros without a face), `source_sha` (empty if not opened).
        """
        return self.pictures.with_name(f"{self.number:06}.npz")


def build(
    dataset: str,
    archive: Path,
    settings: Dataset,
    out: Path,
    workers: int | None = None,
    scheduler: str | None = None,
) -> None:
    """Crops the pictures of a zip; writes the folder `out` whole, as `pocketface.faces.index` describes it.

    Args:
        workers: processes on this machine; as many as it has processors by default.
        scheduler: address of a Dask scheduler whose workers do the work instead.

    Raises:
        PocketfaceError: the archive is missing or damaged, no face was accepted, the disk is full, or the
            workers cannot be reached or keep dying.
    """
    archive, out = Path(archive).absolute(), Path(out).absolute()
    scratch = out.parent / SCRATCH / dataset
    try:
        pictures = in_fork(_list, dataset, archive, settings, scratch)
        shards = [
            Shard(dataset, archive, settings.crop, settings.people is not None, pictures, number)
            for number in range(pq.read_metadata(pictures).num_row_groups)
        ]
        accepted = _crop_all(shards, workers or cpu_count() or 1, scheduler)
        with written_whole(out, folder=True) as partial:
            _join_faces(shards, accepted, partial / FACES)
            _write_index(shards, _settled(shards, partial / FACES, settings), partial / INDEX)
            write_json(partial / CROP, {"dataset": dataset, "crop": settings.crop.model_dump(mode="json")})
    except OSError as error:
        raise PocketfaceError(
            f"{error.filename or out}: {error.strerror or error}; what is done stays in {scratch}: "
            "put it right and run again"
        ) from None
    remove(scratch)
    with suppress(OSError):  # another dataset's shards may lie there
        scratch.parent.rmdir()
    index = pd.read_parquet(out / INDEX, columns=["status"])
    if not (index["status"] == OK).any():
        raise PocketfaceError(_why_none(dataset, archive, pd.read_parquet(out / INDEX)))


def _list(dataset: str, archive: Path, settings: Dataset, scratch: Path) -> Path:
    """Writes `PICTURES`, in a folder that is named for all that decides the result; returns its path.

    Python's list of an archive, and ours of what is in it, take a kilobyte a picture.
    """
    folder = scratch / _key(dataset, archive, settings)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(scratch.iterdir()) - {folder}:
        remove(stale)
    records = _read(dataset, archive, settings.sample)
    places = datasets.places(archive)
    for number, column in enumerate(PLACE):
        records[column] = [places[image][number] if image in places else -1 for image in records["image"]]
    with written_whole(folder / PICTURES) as partial:
        records.to_parquet(partial, index=False, row_group_size=SHARD)
    return folder / PICTURES


def _settled(shards: Sequence[Shard], faces: Path, settings: Dataset) -> pd.DataFrame:
    """The `split`, `status` and `face` of every picture, of a copy the row that counts (`same_as`), and where
    persons are told apart by their faces `identity`.

    Finds copies, gives a split by content to what has none, and a status to what does not count.
    """
    known = pq.read_schema(shards[0].pictures).names
    columns = [name for name in known if name not in ("image", *OPENED)]  # by far the largest
    index = _records(shards, columns, strings_to_categorical=True)
    names, code = np.unique(_gathered(shards, "status"), return_inverse=True)
    status, hashes = names.astype(str).astype(object)[code], _gathered(shards, "phash")
    shas, file = np.unique(_gathered(shards, "source_sha"), return_inverse=True)
    found = status == OK
    group = _groups(hashes[found], file[found], faces, settings.crop)
    content = file.copy()
    content[found] = _first(file[found], group)
    index["split"] = _splits(index, shas, content)
    index["image"] = np.arange(len(index))
    labels = [str(column) for column in index if column not in COLUMNS]
    index["status"] = status
    index["face"] = pd.Series(found.cumsum() - 1, dtype="Int64").where(found)
    judged = duplicates.judge(index[found], group, labels, settings.contradictory)
    index.loc[found, "status"] = judged["status"]
    index["same_as"] = judged["same_as"].astype("Int64").reindex(index.index)
    if settings.people and found.any() and index.get("identity", pd.Series()).isna().all():
        persons = people.persons(_gathered(shards, "descriptors"))
        first = [BY_DESCRIPTOR + sha.decode()[:12] for sha in shas[_first(file[found], persons)]]
        index["identity"] = pd.Series(first, index=index.index[found], dtype="str").reindex(index.index)
        return index[["split", "status", "face", "same_as", "identity"]]
    return index[["split", "status", "face", "same_as"]]


def _groups(hashes: np.ndarray, file: np.ndarray, faces: Path, crop: Crop) -> np.ndarray:
    """The number of the picture that each face shows, of their perceptual hashes and of files, see
    `pocketface.faces.duplicates`."""
    shape = crop.size, crop.size, crop.channels
    start = faces.stat().st_size - len(hashes) * math.prod(shape)

    def thumbnail(face: int) -> np.ndarray:
        # Read and not mapped: pages of a map stay in memory once they were looked at.
        pixels = np.fromfile(faces, np.uint8, math.prod(shape), offset=start + face * math.prod(shape))
        return duplicates.thumbnail(pixels.reshape(shape), crop)

    return duplicates.same_picture(hashes, file, thumbnail, duplicates.least_correlation(crop))


def _first(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Of each value the least of its group."""
    return pd.Series(values).groupby(group).transform("min").to_numpy()


def _splits(index: pd.DataFrame, shas: np.ndarray, content: np.ndarray) -> pd.Series:
    """The split of every picture: the dataset's own, else by the hash of its content, `shas[content]`."""
    own = index["split"].astype(object)
    named = set(own.dropna())
    of_file = np.array([hashed_split(sha.decode()) if sha else None for sha in shas], object)
    if "test" in named:  # a dataset's own test part is enough
        of_file[of_file == "test"] = "val"
    split = own.where(own.notna(), of_file[content])
    if "val" in named and "test" not in named:
        who = index["identity"].astype(object) if "identity" in index else pd.Series(None, index.index)
        val = split == "val"
        key = who[val].where(who[val].notna(), [sha.decode() for sha in shas[content[val]]])
        split[val] = split[val].mask(key.map(reserved), "test")
    return split


def _write_index(shards: Sequence[Shard], settled: pd.DataFrame, path: Path) -> None:
    """Writes `index.parquet`, one row a record, columns as `pocketface.faces.index` says."""
    images = _records(shards, ["image"])["image"]
    writer, end = None, 0
    with ExitStack() as stack:
        for number in range(0, len(shards), TOGETHER):
            part = shards[number : number + TOGETHER]
            cropped = pd.concat(map(_cropped, part), ignore_index=True)
            start, end = end, end + len(cropped)
            rows = settled.iloc[start:end].reset_index(drop=True)
            rows["same_as"] = rows["same_as"].map(images, na_action="ignore")
            rows = rows.astype({name: "str" for name in rows if name != "face"})
            index = _records(part).drop(columns=list(OPENED)).assign(**rows, **cropped)
            index = index[[*COLUMNS, *index.columns.difference(list(COLUMNS), sort=False)]]
            if writer is None:
                schema = pa.Schema.from_pandas(index, preserve_index=False)
                box = pa.field("box", pa.list_(pa.int64()))  # not told by a part without a face
                schema = schema.set(schema.get_field_index("box"), box)
                writer = stack.enter_context(pq.ParquetWriter(path, schema))
            # In one piece: the bytes of the file do not tell of the shards.
            table = pa.Table.from_pandas(index, schema, preserve_index=False)
            writer.write_table(table.combine_chunks())


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
    if not _whole(shard.file):
        cv2.setNumThreads(1)
        results = [
            (problem, None, None, None, "") if problem else _crop_one(data, shard)
            for problem, data in _pictures(shard)
        ]
        statuses, faces, boxes, known, shas = zip(*results, strict=True)
        side, channels = shard.crop.size, shard.crop.channels
        accepted = [face for face in faces if face is not None]
        looks = [None if face is None else duplicates.thumbnail(face, shard.crop) for face in faces]
        hashes = [0 if look is None else duplicates.perceptual_hash(look) for look in looks]
        # A name of its own: a worker that Dask gave up on may still be at the same shard.
        unique = shard.file.with_name(f".{uuid.uuid4().hex}.npz")
        with written_whole(unique) as partial, partial.open("wb") as file:
            np.savez(
                file,
                faces=np.array(accepted, np.uint8).reshape(len(accepted), side, side, channels),
                descriptors=np.array([one for one in known if one is not None], np.float32).reshape(-1, 128),
                status=np.array(statuses, np.bytes_),
                box=np.array([box or (0, 0, 0, 0) for box in boxes], np.int32),
                phash=np.array(hashes, np.uint64),
                source_sha=np.array(shas, "S64"),
            )
        unique.replace(shard.file)
    return Counter(_gathered([shard], "status").astype(str).tolist())


def _whole(file: Path) -> bool:
    """Whether the file of a shard is there, and not cut off, as when power fails."""
    try:
        with np.load(file):
            return True
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return False


def _pictures(shard: Shard) -> Iterator[tuple[str, bytes]]:
    """What is wrong with each picture, or its file."""
    rows = _records([shard], ["image", *OPENED]).fillna({"problem": ""})
    with shard.archive.open("rb") as archive:
        for image, problem, *place in rows.itertuples(index=False):
            if problem:
                yield problem, b""
            elif place[1] > PICTURE.bytes:  # not even read
                yield "too_large", b""
            elif place[0] >= 0:
                yield "", datasets.read_at(shard.dataset, archive, image, datasets.Place(*place))
            else:
                listed = _opened(shard.archive, shard.archive.stat().st_mtime_ns)
                yield "", datasets.open_picture(shard.dataset, listed, image)


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
    pictures = pq.read_metadata(shards[0].pictures).num_rows
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
            images = _records([shard], ["image"])["image"]
            raise PocketfaceError(
                f"{shard.archive}: worker after worker died between {images.iloc[0]} and {images.iloc[-1]}; "
                "out of memory? Try fewer with --workers"
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


def _key(dataset: str, archive: Path, settings: Dataset) -> str:
    code = sorted(path for part in CODE for path in (Path(pocketface.__file__).parent / part).glob("*.*"))
    decides = [
        dataset,
        settings.model_dump(mode="json"),
        [hashlib.sha256(path.read_bytes()).hexdigest() for path in code],
        [getattr(library, "__version__", None) for library in LIBRARIES],
    ]
    key = hashlib.sha256(json.dumps(decides).encode())
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            key.update(repr((member.filename, member.file_size, member.CRC)).encode())
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


def _read(dataset: str, archive: Path, sample: float) -> pd.DataFrame:
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


def _records(shards: Sequence[Shard], columns: Sequence[str] | None = None, **options: Any) -> pd.DataFrame:
    """What `_list` wrote of some shards' pictures."""
    with pq.ParquetFile(shards[0].pictures) as file:
        table = file.read_row_groups([shard.number for shard in shards], columns, use_threads=False)
    return table.to_pandas(**options)


def _gathered(shards: Sequence[Shard], name: str) -> np.ndarray:
    """One of the arrays of `crop_shard`, of several shards."""
    parts = []
    for shard in shards:
        with np.load(shard.file) as done:
            parts.append(done[name])
    return np.concatenate(parts)


def _cropped(shard: Shard) -> pd.DataFrame:
    """What became of a shard's pictures."""
    with np.load(shard.file) as done:
        status, box, phash, source_sha = (done[name] for name in ("status", "box", "phash", "source_sha"))
    accepted = status == OK.encode()
    return pd.DataFrame(
        {
            "box": [edges.tolist() if ok else None for edges, ok in zip(box, accepted, strict=True)],
            "source_sha": [digest or None for digest in source_sha.astype(str).tolist()],
            "phash": pd.Series(phash, dtype="UInt64").where(accepted),
        }
    ).astype({"box": object, "source_sha": "str"})
