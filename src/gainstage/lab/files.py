"""The files that the experiments read: where they are, and what they must contain."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gainstage.errors import DataError, MissingExtraError, UnknownNameError

VARIABLE: Final = "GAINSTAGE_DATA"
"""An environment variable: a folder that holds the files, so that nothing is downloaded."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from.

    Attributes:
        url: its publisher's.
        sha256: of its bytes.
    """

    url: str
    sha256: str


_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_MODELS = "https://raw.githubusercontent.com/phlippe/saved_models/main/tutorial4"
_KARPATHY = "https://raw.githubusercontent.com/karpathy"


def _idx(folder: str, base: str, sums: dict[str, str]) -> dict[str, Source]:
    return {f"{folder}/{file}": Source(f"{base}/{file}", sha) for file, sha in sums.items()}


FILES: Final[dict[str, Source]] = {
    **_idx(
        "fashion_mnist",
        _FASHION,
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed27"
            "1626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc"
            "97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a4"
            "84bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3c"
            "d6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    **_idx(
        "mnist",
        _MNIST,
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea37026"
            "5605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cc"
            "a23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e3"
            "3eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd"
            "2371eca3ffa0defaefb259924204aec6",
        },
    ),
    **_idx(
        "saved_models_tutorial4",
        _MODELS,
        {
            "FashionMNIST_SGD.tar": "3f9cc9732fa539a48f93e355c209ff24"
            "6b0b1f32767129194323819d89709b25",
            "FashionMNIST_SGDMom.tar": "302874265755f0a6403c124cfc0b6857"
            "09072f8007fbbb849c13a4849fd3e7f1",
            "FashionMNIST_Adam.tar": "ea9ecbecfe68a2bcb7bd84d5c09028fb"
            "459534fd61a99dae067ccc73681c8ea0",
            "FashionMNIST_SGD_results.json": "9e673a200543b8b453f75bc763abcb87"
            "aa2872c4f2a26d49bf21d89b3a432eeb",
            "FashionMNIST_SGDMom_results.json": "c266d6572bd4c6fd312aaa9f66920859"
            "5cc423aef88508801e1d6d7df0289490",
            "FashionMNIST_Adam_results.json": "009debcc59575d4d9a8a9e170d9e2e81"
            "65aed7785cbdd94c5c0929814f48a681",
        },
    ),
    "names/names.txt": Source(
        f"{_KARPATHY}/makemore/master/names.txt",
        "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    ),
    "tinyshakespeare/input.txt": Source(
        f"{_KARPATHY}/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}
"""By their path in the folder of data."""


def find_file(name: str) -> Path:
    """A file of the data, downloaded if it is not here yet.

    It is looked for in the folder that ``GAINSTAGE_DATA`` names, then among earlier downloads,
    then at its publisher's. Its checksum is compared each time; a download that does not match is
    removed and tried once more.

    Args:
        name: its path in the folder of data: ``"names/names.txt"``.

    Raises:
        UnknownNameError: there is no file of that name.
        DataError: it is neither here nor to be had, or is not what its publisher had.
        MissingExtraError: it has to be downloaded and pooch is not installed.
    """
    if name not in FILES:
        msg = f"The lab has no file {name!r}. There are: {', '.join(sorted(FILES))}."
        raise UnknownNameError(msg)
    folder = os.environ.get(VARIABLE)
    if folder and (Path(folder) / name).exists():
        return _checked(Path(folder) / name, FILES[name])
    return _download(name, FILES[name], folder)


def _checked(path: Path, source: Source) -> Path:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != source.sha256:
        msg = (
            f"The file {path} is damaged: its SHA-256 is {digest[:12]}..., and should be "
            f"{source.sha256[:12]}.... Replace it by {source.url}."
        )
        raise DataError(msg)
    return path


def _download(name: str, source: Source, folder: str | None) -> Path:
    pooch = _pooch()
    cache = Path(pooch.os_cache("gainstage"))
    store = pooch.create(
        cache,
        base_url="",
        registry={name: f"sha256:{source.sha256}"},
        urls={name: source.url},
        retry_if_failed=1,
    )
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(store.fetch(name))
    except (OSError, ValueError) as error:
        wanted = Path(folder) / name if folder else cache / name
        why = "what came is damaged, twice" if isinstance(error, ValueError) else str(error)
        msg = (
            f"{source.url} could not be downloaded: {why}. Fetch it by other means and put it at "
            f"{wanted}, or set {VARIABLE} to a folder that holds {name}."
        )
        raise DataError(msg) from error


def _pooch() -> Any:
    try:
        import pooch  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        msg = "Downloading data needs pooch: run `pip install 'gainstage[lab]'`."
        raise MissingExtraError(msg) from error
    return pooch
