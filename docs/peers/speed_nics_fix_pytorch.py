"""Training speed of nics_fix_pytorch 0.4.0 on the task of speed_pytorch.py.

    python speed_nics_fix_pytorch.py --data DIR --repo NICS_FIX_PYTORCH_CHECKOUT
    python speed_nics_fix_pytorch.py ../../configs/cifar10_vgg11_w8.yaml --data DIR --repo NICS_FIX_PYTORCH_CHECKOUT

8 bits, FIX_AUTO with RANGE_MAX, on weight, bias and activation (the input, and what each layer but ReLU, Flatten and
MaxPool puts out) and on the gradients of all of them. The layout is the one of its own examples. No gradient flows to
the input, so that one gradient quantiser never runs; this favours the peer.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from common import add_speed_arguments, measure_training_speed, print_speeds
from network import build
from recipe import Recipe


def import_peer(repo):
    """Imports the package from a checkout, and gives it back the alias `np.int` that numpy 1.24 removed."""
    version = Path(repo, "nics_fix_pt", "VERSION")
    if not version.is_file():
        raise SystemExit(f"{repo}: expected a checkout of walkerning/nics_fix_pytorch, found no nics_fix_pt/VERSION")
    np.int = int
    sys.path.insert(0, str(repo))
    import nics_fix_pt
    from nics_fix_pt import nn_fix

    return nics_fix_pt, nn_fix, version.read_text().strip()


def make_build(peer, nn_fix, recipe, bits):
    """A function that builds the network with every point quantised to `bits`."""

    def points(*names):
        # Each point needs tensors of its own: the library keeps its state in them.
        return {
            name: {
                "method": torch.IntTensor([peer.FIX_AUTO]),
                "scale": torch.FloatTensor([1.0]),
                "bitwidth": torch.IntTensor([bits]),
                "range_method": peer.RangeMethod.RANGE_MAX,
            }
            for name in names
        }

    def both(*names):
        return {"nf_fix_params": points(*names), "nf_fix_params_grad": points(*names)}

    def weighted(module):
        def make(*sizes, bias, **settings):
            names = ["weight", "bias"] if bias else ["weight"]
            return module(*sizes, bias=bias, **settings, **both(*names))

        return make

    return lambda: build(
        recipe.layers,
        recipe.shape,
        conv2d=weighted(nn_fix.Conv2d_fix),
        linear=weighted(nn_fix.Linear_fix),
        point=lambda: nn_fix.Activation_fix(**both("activation")),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_speed_arguments(parser)
    parser.add_argument("--repo", required=True, type=Path, help="checkout of walkerning/nics_fix_pytorch")
    parser.add_argument("--bits", type=int, default=8)
    options = parser.parse_args()
    peer, nn_fix, version = import_peer(options.repo)
    recipe = Recipe(options.config, options.data)
    runs = measure_training_speed(make_build(peer, nn_fix, recipe, options.bits), recipe, options)
    print_speeds(options, recipe, f"nics_fix_pytorch {version}", runs)


if __name__ == "__main__":
    main()
