"""The manifest of a case base: which model made its vectors, and how they are laid out."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from dermquery import __version__
from dermquery.data.files import replacing
from dermquery.model.alignment import BlockLayout
from dermquery.model.parts import PartLayout, Weights
from dermquery.model.presets import presets_of
from dermquery.store.protocol import Encoder, gives_vectors_of

__all__ = ["MANIFEST_FILE", "SCHEMA_VERSION", "Manifest", "ManifestError", "ModelMismatchError"]

MANIFEST_FILE = "manifest.json"
_CHECKSUM = "checksum"
SCHEMA_VERSION: Final = 7
"""Schema of the bases that this version writes; it reads all before (:mod:`.earlier_schemas`)."""
_FINDINGS_SINCE = 6
"""Schema whose vectors hold all parts, and not equation 9's blocks alone."""


class ManifestError(ValueError):
    """A folder is no case base that this version can use; the message says why and what to do."""


class ModelMismatchError(ManifestError):
    """A case base was opened with another model than the one that made its vectors."""


class Manifest(BaseModel):
    """Identity of a case base, kept as ``manifest.json`` beside the table.

    Attributes:
        schema_version: of this file and of the rows; a base of an earlier one is read-only until it is upgraded.
        model_name: what people call the model.
        model_hash: SHA-256 of the model's artifact; vectors of another artifact cannot be compared with these.
        model_reference: name or path by which ``load_model`` finds the model again; None if it was never told.
        preprocessing: what the model does to an image before its first layer, as the artifact describes it.
        levels, width: equation 9's blocks in the vectors.
        diagnoses, look: length of the posterior and of the look in the vectors; 0 for a model without heads.
        presets: weights by name that were chosen for the model.
        described: whether images are composed with the cases' findings; so only in bases of before.
        version: counts how often the base was encoded; each version has rows of its own.
        images: where the images are kept (:class:`~dermquery.store.archive.ImageArchive`): a URL, or a path within the
            base's folder; None if cases only name the files that they were made of.
        created: time of creation, with its zone.
        dermquery_version: the version that created the base.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    model_name: str
    model_hash: str = Field(min_length=1)
    model_reference: str | None = None
    preprocessing: dict[str, JsonValue] = Field(default_factory=dict)
    levels: tuple[str, ...] = Field(min_length=1, max_length=16)
    width: int = Field(ge=1, le=4096)
    diagnoses: int = Field(default=0, ge=0, le=4096)
    look: int = Field(default=0, ge=0, le=4096)
    presets: dict[str, Weights] = Field(default_factory=dict)
    described: bool = False
    version: int = Field(default=1, ge=1, le=10**9)
    images: str | None = None
    created: AwareDatetime
    dermquery_version: str

    @model_validator(mode="before")
    @classmethod
    def _without_pairs(cls, held: Any) -> Any:
        """What manifests kept until shares were those of a query."""
        return {name: value for name, value in held.items() if name != "pairs"} if isinstance(held, dict) else held

    @model_serializer(mode="wrap")
    def _marked(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """``described`` only where it is so, which copies and snapshots of a base of before must not lose."""
        return {name: value for name, value in write(self).items() if name != "described" or value}

    @classmethod
    def of(
        cls, model: Encoder, reference: str | None = None, *, version: int = 1, images: str | None = None
    ) -> Manifest:
        """Manifest of a new base, or a new version of one, for a model.

        Raises:
            ManifestError: if the model was never saved, and so has no hash.
        """
        if not model.artifact_hash:
            raise ManifestError(
                f"model {model.name!r} has no artifact hash, so a case base could not tell it from another; "
                "save it as an artifact and load it from there"
            )
        preprocessing: Any = getattr(model, "preprocessing", None)
        if isinstance(preprocessing, BaseModel):
            preprocessing = preprocessing.model_dump(mode="json")
        return cls(
            model_name=model.name,
            model_hash=model.artifact_hash,
            model_reference=reference,
            preprocessing=preprocessing if isinstance(preprocessing, dict) else {},
            levels=model.layout.blocks.levels,
            width=model.layout.blocks.width,
            diagnoses=model.layout.diagnoses,
            look=model.layout.look,
            presets=dict(getattr(model, "presets", {})),
            version=version,
            images=images,
            created=datetime.now(UTC),
            dermquery_version=__version__,
        )

    @property
    def layout(self) -> PartLayout:
        """Order of the parts in the vectors; those of earlier schemas get their findings when they are read."""
        return PartLayout(BlockLayout(self.levels, self.width), self.diagnoses, self.look)

    @property
    def stored_size(self) -> int:
        """Length of the vectors as the rows hold them."""
        return self.layout.size if self.schema_version >= _FINDINGS_SINCE else self.layout.blocks.size

    @property
    def weights(self) -> dict[str, Weights]:
        """Weights of the parts by name: those that were chosen for the model, and those that every model has."""
        return presets_of(self.layout, self.presets)

    @property
    def outdated(self) -> bool:
        """Whether an earlier version of dermquery laid out the rows."""
        return self.schema_version < SCHEMA_VERSION

    def current(self, **changes: object) -> Self:
        """The same, with changes, for rows of the current schema."""
        return self.model_copy(update={"schema_version": SCHEMA_VERSION, **changes})

    def check(self, model: Encoder) -> None:
        """Refuse a model whose vectors cannot be compared with the stored ones.

        Raises:
            ModelMismatchError: naming both artifacts and the two remedies.
        """
        if gives_vectors_of(model, self.model_hash) and model.layout == self.layout:
            return
        where = f" (it was loaded from {self.model_reference})" if self.model_reference else ""
        raise ModelMismatchError(
            f"this case base was indexed with model {self.model_name!r}, artifact {self.model_hash}, "
            f"but the model given is {model.name!r}, artifact {model.artifact_hash}; their vectors cannot be compared. "
            f"Open the base with its own model by --model{where}, or encode it again with: dermquery base migrate"
        )

    def check_plain(self, uri: str | Path) -> None:
        """Refuse a base of before whose images are composed with findings, for no encoder makes such vectors any more.

        Raises:
            ManifestError: naming the remedy.
        """
        if self.described:
            raise ManifestError(
                f"{uri} was indexed with --described, which is no more: its images are composed with findings. "
                f"Encode its cases anew from the images: dermquery base migrate {uri} --model MODEL"
            )

    def check_images(self, uri: str | Path, images: str | bool | None) -> None:
        """Refuse another place for the images than the base's.

        Args:
            uri: the base, for messages.
            images: where images are to be kept, as :attr:`images`; True agrees with any place.

        Raises:
            ManifestError: naming both and the remedy.
        """
        if images is not True and self.images != images:
            raise ManifestError(
                f"{uri} keeps its images {f'in {self.images}' if self.images else 'nowhere'}, and not "
                f"{f'in {images}' if images else 'nowhere'}; leave out --images, or choose another base"
            )

    def same_vectors(self, other: Manifest) -> bool:
        """Whether vectors of the two can stand in one base."""
        return (self.model_hash, self.layout, self.described) == (other.model_hash, other.layout, other.described)

    def same_rows(self, other: Manifest) -> bool:
        """Whether rows of the two can stand in one table: with the same columns, and vectors that can be compared."""
        return self.schema_version == other.schema_version and self.same_vectors(other)

    def save(self, folder: Path, name: str = MANIFEST_FILE) -> None:
        """Write ``manifest.json`` into the base's folder, with a checksum; it appears whole or not at all."""
        fields = self.model_dump(mode="json")
        text = json.dumps(fields | {_CHECKSUM: _checksum(fields)}, indent=2, ensure_ascii=False)
        with replacing(folder / name) as part:
            part.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of a base.

        Raises:
            ManifestError: if the folder holds none, or one that cannot be read.
        """
        path = folder / MANIFEST_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise ManifestError(
                f"{folder} is no case base: it has no {MANIFEST_FILE}. Check the path, or make a base with: "
                f"dermquery index TABLE --base {folder} --model MODEL"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError(f"{path} cannot be read ({error}); restore it from a backup") from error
        return cls.read(text, str(path))

    @classmethod
    def read(cls, text: str, where: str) -> Manifest:
        """Parse a manifest of this schema or an earlier one; ``where`` it stands goes into the ManifestError."""
        fields = _fields(text)
        written = fields.pop(_CHECKSUM, None)
        if written not in (None, _checksum(fields)) and _schema_version(text) <= SCHEMA_VERSION:
            raise ManifestError(f"{where} is not as it was written; restore it from a backup")
        try:
            return cls.model_validate_json(json.dumps(fields) if written else text)
        except ValidationError as error:
            if (version := _schema_version(text)) > SCHEMA_VERSION:
                raise ManifestError(
                    f"{where} describes a case base of schema {version}, and this version of dermquery reads up to "
                    f"{SCHEMA_VERSION}; update dermquery"
                ) from error
            faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
            raise ManifestError(
                f"{where} does not describe a case base ({faults}); restore it from a backup"
            ) from error


def _fields(text: str) -> dict[str, Any]:
    """What a manifest says, unjudged; nothing if it cannot be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _checksum(fields: dict[str, Any]) -> str:
    """CRC-32 of what a manifest says, whatever its spaces."""
    return f"{zlib.crc32(json.dumps(fields, sort_keys=True).encode()):08x}"


def _schema_version(text: str) -> int:
    version = _fields(text).get("schema_version")
    return version if isinstance(version, int) else 0
