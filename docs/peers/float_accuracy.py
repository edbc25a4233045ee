"""Test accuracy of plain float32 PyTorch, trained by the recipe of a fixgrad configuration.

    python float_accuracy.py ../../configs/digits_mlp_w8.yaml
    python float_accuracy.py ../../configs/mnist_mlp_w8.yaml --data DIR

Taken from the configuration: the layers, the data, its split, normalisation and augmentation, epochs or steps, batch,
learning rate, schedule, momentum, weight decay and the noise on the inputs. `fixed`, which says how fixgrad quantises,
has no counterpart here. As in fixgrad, weights start uniform in +-sqrt(6 / fan-in) and biases at zero, an epoch has
whole batches only, and weight decay is decoupled and spares biases. Whatever else a configuration says ends the script
with an error.

A seed fixes the start, the order of the samples, their changes and the noise; the split is the same for all seeds. The
test set is looked at once per seed, after the last step.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from common import batches, integers, print_json
from network import build, weights
from recipe import Recipe


@torch.no_grad()
def accuracy(model, inputs, labels):
    """Per cent classified correctly."""
    model.eval()
    right = sum((model(some).argmax(1) == of).sum() for some, of in zip(inputs.split(1000), labels.split(1000)))
    model.train()
    return round(100 * right.item() / len(labels), 4)


@torch.no_grad()
def decay(model, share):
    """Takes a share off every weight; biases keep theirs."""
    for weight in weights(model):
        weight.mul_(1 - share)


def train(recipe, seed):
    """One training run; the trained model."""
    torch.manual_seed(seed)
    model = build(recipe.layers, recipe.shape)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum)
    inputs, labels = recipe.training
    whole = len(inputs) // recipe.batch
    step = 0
    while step < recipe.steps:
        for index in batches(len(inputs), recipe.batch)[: min(whole, recipe.steps - step)]:
            lr = optimizer.param_groups[0]["lr"] = recipe.lr_at(step)
            batch = inputs[index]
            if recipe.augment:
                batch = recipe.augment(batch)
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
