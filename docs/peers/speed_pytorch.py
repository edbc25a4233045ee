"""Training speed of plain float32 PyTorch with the network, batch and optimiser of a fixgrad configuration.

    python speed_pytorch.py --data DIR
    python speed_pytorch.py ../../configs/cifar10_vgg11_w8.yaml --data DIR --threads 2 --steps 3 --repeats 4

The pictures are in memory as a float tensor. An epoch draws a new order and gathers each batch; both are timed.
`augment`, the schedule and noise are left out, which favours the peer.
"""

import argparse

from common import add_speed_arguments, measure_training_speed, print_speeds
from network import build
from recipe import Recipe


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_speed_arguments(parser)
    options = parser.parse_args()
    recipe = Recipe(options.config, options.data)
    runs = measure_training_speed(lambda: build(recipe.layers, recipe.shape), recipe, options)
    print_speeds(options, recipe, "PyTorch float32", runs)


if __name__ == "__main__":
    main()
