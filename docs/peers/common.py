"""What the peer scripts share: data sets, the timing loop, and the description of the run."""

import gzip
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch


def read_idx(path):
    """One IDX file (gzip) of unsigned bytes, as a numpy array."""
    raw = gzip.decompress(Path(path).read_bytes())
    if raw[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path}: expected an IDX file of unsigned bytes, found magic {raw[:4].hex()}")
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def read_mnist(directory):
    """(training, test) of MNIST. Pixels become p/256: the u8 mantissa with exponent -8, as in fixgrad."""
    sets = []
    for part in ("train", "t10k"):
        images = read_idx(directory / f"{part}-images-idx3-ubyte.gz")
        labels = read_idx(directory / f"{part}-labels-idx1-ubyte.gz")
        sets.append(to_tensors(images[:, None], labels, 256))
    return sets


def read_cifar10(directory):
    """(training, test) of CIFAR-10 in its binary form: a label, then a plane of pixels for each channel."""
    sets = []
    for names in ([f"data_batch_{number}.bin" for number in range(1, 6)], ["test_batch.bin"]):
        records = np.concatenate([np.fromfile(directory / name, np.uint8) for name in names]).reshape(-1, 3073)
        sets.append(to_tensors(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0], 256))
    return sets


def read_digits():
    """fixgrad's built-in digits in fixgrad's split: (train, validation, test). Pixels become p/16."""
    here = Path(__file__).parent
    records = gzip.decompress((here / "../../host/data/digits.bin.gz").read_bytes())
    records = np.frombuffer(records, np.uint8).reshape(-1, 65)
    inputs, labels = to_tensors(records[:, 1:].reshape(-1, 1, 8, 8), records[:, 0], 16)
    parts = np.array((here / "digits_split.txt").read_text().split())
    if len(parts) != len(labels):
        raise SystemExit(f"digits_split.txt: expected a part for each of {len(labels)} digits, found {len(parts)}")
    chosen = [torch.from_numpy(np.flatnonzero(parts == part)) for part in ("train", "validation", "test")]
    return [(inputs[index], labels[index]) for index in chosen]


def to_tensors(pixels, labels, divisor):
    """Integer pixels [sample, channel, row, column] and labels as the tensors that a training loop wants."""
    return (
        torch.from_numpy(pixels.astype(np.float32) / divisor),
        torch.from_numpy(labels.astype(np.int64)),
    )


def batches(count, size, generator=None):
    """Index tensors of one epoch in a fresh random order; the last one may be short."""
    return torch.randperm(count, generator=generator).split(size)


def rounded(speed):
    """Digits that say something."""
    return round(speed) if speed >= 10_000 else round(speed, 1)


def measure_training_speed(build, recipe, options):
    """Samples per second: shuffle, gather, forward, backward, update.

    `build()` returns a model. Each thread count starts from a new model; the first of the repeats warms up and is not
    counted.
    """
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    inputs, labels = recipe.training
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        model = build().to(memory_format=layout)
        optimizer = torch.optim.SGD(
            model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        speeds = []
        for repeat in range(options.repeats + 1):
            samples, start = 0, time.perf_counter()
            for index in batches(len(inputs), recipe.batch)[: options.steps]:
                batch = inputs[index].contiguous(memory_format=layout)
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(batch), labels[index])
                loss.backward()
                optimizer.step()
                samples += len(index)
            if repeat > 0:
                speeds.append(samples / (time.perf_counter() - start))
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is {loss.item()}: this run trained nothing, so its speed means nothing")
        row = {
            "threads": threads,
            "median_samples_per_second": rounded(statistics.median(speeds)),
            "all_samples_per_second": [rounded(speed) for speed in speeds],
            "last_loss": round(loss.item(), 4),
        }
        print(f"{threads} thread(s): median {row['median_samples_per_second']:,} samples/s, all {row['all_samples_per_second']}")
        rows.append(row)
    return rows


def integers(text):
    """"0,1,2" -> [0, 1, 2], for argparse."""
    return [int(part) for part in text.split(",")]


def add_speed_arguments(parser):
    """The arguments of both speed scripts."""
    default = Path(__file__).with_name("speed_mlp.yaml")
    parser.add_argument("config", nargs="?", type=Path, default=default, help="by default speed_mlp.yaml, 784-100-10")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with the data sets, as for `fixgrad train`")
    parser.add_argument("--steps", type=int, help="steps of one repeat; by default an epoch")
    parser.add_argument("--repeats", type=int, default=7, help="timed repeats, after one to warm up")
    parser.add_argument("--threads", type=integers, default=[1, 2], help="thread counts, for example 1,2")
    parser.add_argument("--channels-last", action="store_true", help="PyTorch's other order of pictures in memory")


def print_speeds(options, recipe, peer, runs):
    """The result of a speed script."""
    options.config = options.config.stem
    names = ("batch", "lr", "momentum", "weight_decay")
    print_json(options, {"peer": peer, "training": {name: getattr(recipe, name) for name in names}, "runs": runs})


def print_json(options, result):
    """The last line of every script: arguments (without paths), versions, machine, and the result."""
    arguments = {key: value for key, value in vars(options).items() if key not in ("data", "repo")}
    environment = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cpu": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "MKL_DEBUG_CPU_TYPE": os.environ.get("MKL_DEBUG_CPU_TYPE"),
    }
    print(json.dumps({"arguments": arguments, "environment": environment, **result}))
