"""Test accuracy of plain float32 PyTorch, trained by the recipe of a fixgrad configuration.

    python float_accuracy.py ../../configs/digits_mlp_w8.yaml
    python float_accuracy.py ../../configs/mnist_mlp_w8.yaml --data DIR

Taken from the configuration: the layers, the data and its split, epochs or steps, batch, learning rate, schedule,
weight decay and the noise on the inputs. `fixed`, which says how fixgrad quantises, has no counterpart here. As in
fixgrad, weights start uniform in +-sqrt(6 / fan-in) and biases at zero, an epoch has whole batches only, and weight
decay is decoupled and spares biases. Whatever else a configuration says ends the script with an error.

A seed fixes the start, the order of the samples and the noise; the split is the same for all seeds. The test set is
looked at once per seed, after the last step.
"""

import argparse
import math
import statistics
import time
from pathlib import Path

import torch
import yaml
from torch.nn.functional import cross_entropy

from common import batches, integers, print_json, read_digits, read_mnist


def take(mapping, where, **defaults):
    """The values of a section's keys, in the order of `defaults`; any other key is an error."""
    unknown = set(mapping) - set(defaults)
    if unknown:
        known = ", ".join(defaults)
        raise SystemExit(f"{where}: expected nothing but {known}, found {', '.join(sorted(unknown))}")
    return [mapping.get(key, default) for key, default in defaults.items()]


def read_sizes(layers, inputs):
    """Neurons of each layer, the inputs first: `[flatten, dense, relu, dense]` -> [784, 100, 10]."""
    dense = [layer["dense"] for layer in layers if isinstance(layer, dict) and set(layer) == {"dense"}]
    expected = ["flatten"] + ["dense", "relu"] * (len(dense) - 1) + ["dense"]
    found = [layer if isinstance(layer, str) else next(iter(layer)) for layer in layers]
    if found != expected:
        raise SystemExit(f"model: expected flatten, then dense layers with relu between them, found {found}")
    return [inputs] + [layer["units"] for layer in dense]


def read_noise(strategies):
    """(lowest, highest) of the uniform noise that is added to the inputs; None without noise."""
    if not strategies:
        return None
    match strategies:
        case [{"noise": {"layers": "data", "place": "activation", "pre": {"uniform": {"min": low, "max": high}}}}]:
            return low, high
    raise SystemExit(f"strategies: expected uniform noise on `data`, before it is quantised, found {strategies}")


def load(data, folder):
    """(train, validation, test), each a pair of inputs and labels."""
    if data == "digits":
        return read_digits()
    if not isinstance(data, dict) or set(data) != {"idx"}:
        raise SystemExit(f"data: expected `digits` or `idx`, found {data}")
    name, validation = take(data["idx"], "data.idx", dir=None, validation=0.1)
    if folder is None:
        raise SystemExit(f"data.idx: expected --data with the folder that holds `{name}`")
    inputs, labels = read_mnist(folder / name, "train")
    kept = len(inputs) - (validation if isinstance(validation, int) else round(validation * len(inputs)))
    return (inputs[:kept], labels[:kept]), (inputs[kept:], labels[kept:]), read_mnist(folder / name, "t10k")


class Recipe:
    """What a configuration says, and its data."""

    def __init__(self, path, folder):
        text = yaml.safe_load(path.read_text())
        model, data, train, _, strategies = take(
            text, str(path), model=None, data=None, train=None, fixed=None, strategies=None
        )
        self.training, self.validation, self.test = load(data, folder)
        self.sizes = read_sizes(model["layers"], self.training[0].shape[1])
        self.noise = read_noise(strategies)
        epochs, self.steps, self.batch, self.lr, self.schedule, self.weight_decay = take(
            train, "train", epochs=None, steps=None, batch=None, lr=None, schedule="constant", weight_decay=0.0
        )
        if self.schedule not in ("constant", "cosine"):
            raise SystemExit(f"train.schedule: expected `constant` or `cosine`, found {self.schedule}")
        self.steps = self.steps or epochs * (len(self.training[0]) // self.batch)

    def lr_at(self, step):
        """The learning rate of a step, counted from 0."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def build(sizes):
    """Linear layers with ReLU between them, with fixgrad's initial weights."""
    layers = []
    for fan_in, fan_out in zip(sizes, sizes[1:]):
        linear = torch.nn.Linear(fan_in, fan_out)
        torch.nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
        torch.nn.init.zeros_(linear.bias)
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@torch.no_grad()
def accuracy(model, inputs, labels):
    """Per cent classified correctly."""
    return round(100 * (model(inputs).argmax(1) == labels).double().mean().item(), 4)


@torch.no_grad()
def decay(model, share):
    """Takes a share off every weight; biases keep theirs."""
    for layer in model:
        if isinstance(layer, torch.nn.Linear):
            layer.weight.mul_(1 - share)


def train(recipe, seed):
    """One training run; the trained model."""
    torch.manual_seed(seed)
    model = build(recipe.sizes)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr)
    inputs, labels = recipe.training
    whole = len(inputs) // recipe.batch
    step = 0
    while step < recipe.steps:
        for index in batches(len(inputs), recipe.batch)[: min(whole, recipe.steps - step)]:
            lr = optimizer.param_groups[0]["lr"] = recipe.lr_at(step)
            batch = inputs[index]
            if recipe.noise:
                batch += torch.empty_like(batch).uniform_(*recipe.noise)
            optimizer.zero_grad()
            cross_entropy(model(batch), labels[index]).backward()
            optimizer.step()
            if recipe.weight_decay:
                decay(model, lr * recipe.weight_decay)
            step += 1
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="a fixgrad configuration")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with the data sets, as for `fixgrad train`")
    parser.add_argument("--seeds", type=integers, default=[0, 1, 2, 3, 4], help="for example 0,1,2")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    recipe = Recipe(options.config, options.data)
    rows = []
    for seed in options.seeds:
        start = time.perf_counter()
        model = train(recipe, seed)
        seconds = round(time.perf_counter() - start, 2)
        test, validation = accuracy(model, *recipe.test), accuracy(model, *recipe.validation)
        print(f"seed {seed}: test {test} %, validation {validation} %, {seconds} s", flush=True)
        rows.append({"seed": seed, "test": test, "validation": validation, "seconds": seconds})
    tests = [row["test"] for row in rows]
    mean, low, high = statistics.mean(tests), min(tests), max(tests)
    print(f"{options.config.stem}: mean test accuracy {mean:.2f} % ({low:.2f} to {high:.2f})")
    samples = [len(labels) for _, labels in (recipe.training, recipe.validation, recipe.test)]
    options.config = options.config.stem
    print_json(options, {"samples": samples, "steps": recipe.steps, "mean_test": round(mean, 4), "runs": rows})


if __name__ == "__main__":
    main()
