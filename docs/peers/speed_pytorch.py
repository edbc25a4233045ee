"""Training speed of plain float32 PyTorch: 784-100-10, SGD, cross-entropy, 60,000 MNIST pictures an epoch.

    python speed_pytorch.py --data MNIST_DIR

The pictures are in memory as a float tensor. An epoch draws a new order and gathers each batch; both are timed.
"""

import argparse

import torch

from common import add_speed_arguments, measure_training_speed, print_json


def build():
    return torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_speed_arguments(parser)
    options = parser.parse_args()
    print_json(options, {"peer": "PyTorch float32", "runs": measure_training_speed(build, options)})


if __name__ == "__main__":
    main()
