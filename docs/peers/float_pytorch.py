"""Accuracy of a float32 multi-layer perceptron: plain PyTorch, SGD, softmax cross-entropy.

    python float_pytorch.py --data MNIST_DIR --net 784-100-10 --batch 100 --lr 0.5 --epochs 12
    python float_pytorch.py --digits --net 64-32-10 --batch 32 --lr 0.5 --epochs 60

MNIST: the last 6,000 of the 60,000 training pictures are validation and never trained on; inputs are p/256.
Digits: scikit-learn's 1,797 pictures, 390 of them for the test, drawn once for all seeds; inputs are p/16.
Weights start as torch.nn.Linear leaves them. A seed fixes the start and the order of the samples.
The test set is looked at once per seed, after the last step.
"""

import argparse
import math
import statistics
import time

import torch
from torch.nn.functional import cross_entropy

from common import batches, integers, print_json, read_mnist, to_tensors


def digits_test_indices(options, count):
    """Which of scikit-learn's pictures are the test set: read from a file, or 390 drawn once for all seeds."""
    if options.test_indices:
        with open(options.test_indices) as lines:
            return [int(line) for line in lines]
    return torch.randperm(count, generator=torch.Generator().manual_seed(options.split_seed))[:390]


def load(options):
    """(train, validation, test), each a pair of inputs and labels."""
    if options.digits:
        from sklearn.datasets import load_digits

        digits = load_digits()
        inputs, labels = to_tensors(digits.data, digits.target, 16)
        chosen = torch.zeros(len(inputs), dtype=torch.bool)
        chosen[digits_test_indices(options, len(inputs))] = True
        test = inputs[chosen], labels[chosen]
        inputs, labels = inputs[~chosen], labels[~chosen]
    else:
        inputs, labels = read_mnist(options.data, "train")
        test = read_mnist(options.data, "t10k")
    kept = len(inputs) - options.validation
    return (inputs[:kept], labels[:kept]), (inputs[kept:], labels[kept:]), test


def build(sizes):
    """Linear layers with ReLU between them."""
    layers = []
    for fan_in, fan_out in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@torch.no_grad()
def accuracy(model, inputs, labels):
    """Per cent classified correctly; None without samples."""
    if len(inputs) == 0:
        return None
    return round(100 * (model(inputs).argmax(1) == labels).double().mean().item(), 4)


def train(options, seed, inputs, labels):
    """One training run; the trained model."""
    torch.manual_seed(seed)
    model = build(options.net)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay
    )
    steps = options.steps or options.epochs * math.ceil(len(inputs) / options.batch)
    step = 0
    while step < steps:
        for index in batches(len(inputs), options.batch)[: steps - step]:
            if options.schedule == "cosine":
                optimizer.param_groups[0]["lr"] = options.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimizer.zero_grad()
            cross_entropy(model(inputs[index]), labels[index]).backward()
            optimizer.step()
            step += 1
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="DIR", help="folder with the four MNIST IDX .gz files")
    source.add_argument("--digits", action="store_true", help="scikit-learn's digits instead of MNIST")
    parser.add_argument("--split-seed", type=int, default=0, help="digits: which 390 pictures are drawn for the test")
    parser.add_argument("--test-indices", metavar="FILE", help="digits: the test pictures' numbers, from 0, one a line")
    parser.add_argument("--validation", type=int, help="last samples, kept out of training (6000 for MNIST, 0 for digits)")
    parser.add_argument("--net", type=lambda text: integers(text.replace("-", ",")), default=[784, 100, 10])
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--lr", type=float, default=0.5)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, default=12)
    length.add_argument("--steps", type=int, help="stop after so many steps instead of whole epochs")
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--weight-decay", type=float, default=0.0, help="on weights and biases, as torch.optim.SGD does")
    parser.add_argument("--schedule", choices=["constant", "cosine"], default="constant")
    parser.add_argument("--seeds", type=integers, default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.validation is None:
        options.validation = 0 if options.digits else 6000
    if options.steps:
        options.epochs = None
    torch.set_num_threads(options.threads)

    training, validation, test = load(options)
    rows = []
    for seed in options.seeds:
        start = time.perf_counter()
        model = train(options, seed, *training)
        seconds = round(time.perf_counter() - start, 2)
        row = {"seed": seed, "test": accuracy(model, *test), "validation": accuracy(model, *validation), "seconds": seconds}
        print(f"seed {seed}: test {row['test']} %, validation {row['validation'] or '-'} %, {seconds} s", flush=True)
        rows.append(row)
    tests = [row["test"] for row in rows]
    mean, spread = statistics.mean(tests), statistics.stdev(tests) if len(tests) > 1 else 0.0
    print(f"mean test accuracy {mean:.2f} % (standard deviation {spread:.2f}, {min(tests):.2f} to {max(tests):.2f})")
    sizes = {"train": len(training[0]), "validation": len(validation[0]), "test": len(test[0])}
    print_json(options, {"samples": sizes, "mean_test": round(mean, 4), "stdev_test": round(spread, 4), "runs": rows})


if __name__ == "__main__":
    main()
