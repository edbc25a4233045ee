"""What a fixgrad configuration says about data and training, for PyTorch. Strange keys end the script."""

import math
from pathlib import Path

import torch
import yaml
from torch.nn import functional

from common import read_cifar10, read_digits, read_mnist
from network import needed, take


def load(source, folder):
    """(train, validation, test), each a pair of inputs and labels."""
    if "digits" in source:
        take(source["digits"], "data.digits")
        return read_digits()
    if "idx" in source:
        name, read = "idx", read_mnist
    elif "cifar10" in source:
        name, read = "cifar10", read_cifar10
    else:
        raise SystemExit(f"data: expected `digits`, `idx` or `cifar10`, found {', '.join(source) or 'none of them'}")
    directory, validation = take(source[name], f"data.{name}", dir=None, validation=0.1)
    if folder is None:
        raise SystemExit(f"data.{name}: expected --data with the folder that holds `{directory}`")
    directory = Path(folder) / needed(directory, f"data.{name}", "dir")
    (inputs, labels), test = read(directory)
    kept = len(inputs) - (validation if isinstance(validation, int) else round(validation * len(inputs)))
    return [(inputs[:kept], labels[:kept]), (inputs[kept:], labels[kept:]), test]


def normalized(sets, how):
    """The sets less the mean of each channel and perhaps divided by its deviation, both over the first set."""
    if how is None:
        return sets
    if how not in ("mean", "mean_std"):
        raise SystemExit(f"data.normalize: expected `mean` or `mean_std`, found {how}")
    training = sets[0][0].double()
    mean = training.mean((0, 2, 3), keepdim=True)
    factor = torch.ones_like(mean)
    if how == "mean_std":
        deviation = training.std((0, 2, 3), unbiased=False, keepdim=True)
        # A channel that is always the same has nothing to scale.
        factor = torch.where(deviation > 0, 1 / deviation, factor)
    return [((inputs - mean.float()) * factor.float(), labels) for inputs, labels in sets]


class Augment:
    """Training pictures that are shifted, mirrored and holed anew each time, as docs/data.md says."""

    def __init__(self, settings):
        flip, crop, cutout = take(settings, "data.augment", flip=None, crop=None, cutout=None)
        if flip not in (None, "horizontal"):
            raise SystemExit(f"data.augment.flip: expected `horizontal`, found {flip}")
        self.flip, self.crop, self.cutout = flip is not None, crop or 0, cutout or 0

    def __call__(self, batch):
        """New pictures; nothing is drawn for what is not asked for."""
        count, _, height, width = batch.shape
        rows, columns = (self.shifted(count, side) for side in (height, width))
        if self.flip:
            mirror = torch.rand(count, 1) < 0.5
            columns = torch.where(mirror, columns.flip(1), columns)
        padded = functional.pad(batch, [self.crop] * 4).permute(0, 2, 3, 1)
        rows, columns = rows + self.crop, columns + self.crop
        picture = torch.arange(count)[:, None, None]
        pictures = padded[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
        if self.cutout:
            inside_rows, inside_columns = (self.hole(count, side) for side in (height, width))
            pictures.masked_fill_((inside_rows[:, :, None] & inside_columns[:, None, :])[:, None], 0.0)
        return pictures

    def shifted(self, count, side):
        """Which pixels a side of each picture shows: those beside it are zeros. A side of 1 is left alone."""
        pixels = torch.arange(side).repeat(count, 1)
        if self.crop and side > 1:
            pixels += torch.randint(-self.crop, self.crop + 1, (count, 1))
        return pixels

    def hole(self, count, side):
        """Which pixels a side of each picture loses: those around a centre anywhere in it."""
        first = torch.randint(side, (count, 1)) - self.cutout // 2
        pixels = torch.arange(side)
        return (pixels >= first) & (pixels < first + self.cutout)


def read_noise(strategies):
    """(lowest, highest) of the uniform noise that is added to the inputs; None without noise."""
    if not strategies:
        return None
    match strategies:
        case [{"noise": {"layers": "data", "place": "activation", "pre": {"uniform": {"min": low, "max": high}}}}]:
            return low, high
    raise SystemExit(f"strategies: expected uniform noise on `data`, before it is quantised, found {strategies}")


class Recipe:
    """What a configuration says, and its data."""

    def __init__(self, path, folder):
        text = yaml.safe_load(Path(path).read_text())
        model, data, train, _, strategies = take(
            text, str(path), model=None, data=None, train=None, fixed=None, strategies=None
        )
        (self.layers,) = take(model, "model", layers=None)
        source = {data: {}} if isinstance(data, str) else dict(data)
        normalize, augment = source.pop("normalize", None), source.pop("augment", None)
        if len(source) != 1:
            raise SystemExit(f"data: expected one of digits, idx or cifar10, normalize and augment, found {list(data)}")
        self.training, self.validation, self.test = normalized(load(source, folder), normalize)
        self.shape = self.training[0].shape[1:]
        self.augment = Augment(augment) if augment else None
        self.noise = read_noise(strategies)
        (
            epochs,
            self.steps,
            self.batch,
            self.lr,
            self.schedule,
            warmup_epochs,
            self.warmup,
            self.momentum,
            self.weight_decay,
        ) = take(
            train,
            "train",
            epochs=None,
            steps=None,
            batch=None,
            lr=None,
            schedule="constant",
            warmup_epochs=0,
            warmup_steps=0,
            momentum=0.0,
            weight_decay=0.0,
        )
        if self.schedule not in ("constant", "cosine"):
            raise SystemExit(f"train.schedule: expected `constant` or `cosine`, found {self.schedule}")
        epoch = len(self.training[0]) // self.batch
        self.steps = self.steps or epochs * epoch
        self.warmup = self.warmup or warmup_epochs * epoch

    def lr_at(self, step):
        """The learning rate of a step, counted from 0."""
        lr = self.lr * min(1, (step + 1) / self.warmup) if self.warmup else self.lr
        if self.schedule == "constant":
            return lr
        return lr * 0.5 * (1 + math.cos(math.pi * step / self.steps))
