"""Training speed of nics_fix_pytorch 0.4.0 on the task of speed_pytorch.py: 784-100-10, SGD, cross-entropy.

    python speed_nics_fix_pytorch.py --data MNIST_DIR --repo NICS_FIX_PYTORCH_CHECKOUT

8 bits, FIX_AUTO with RANGE_MAX, on weight, bias and activation (input, fc1 output, fc2 output) and on the gradients
of all of them. The layout is the one of its own MNIST example. No gradient flows to the input, so that one
gradient quantiser never runs; this favours the peer.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from common import add_speed_arguments, measure_training_speed, print_json


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


def make_build(peer, nn_fix, bits):
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

    def build():
        return torch.nn.Sequential(
            nn_fix.Activation_fix(**both("activation")),
            nn_fix.Linear_fix(784, 100, **both("weight", "bias")),
            nn_fix.Activation_fix(**both("activation")),
            torch.nn.ReLU(),
            nn_fix.Linear_fix(100, 10, **both("weight", "bias")),
            nn_fix.Activation_fix(**both("activation")),
        )

    return build


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_speed_arguments(parser)
    parser.add_argument("--repo", required=True, type=Path, help="checkout of walkerning/nics_fix_pytorch")
    parser.add_argument("--bits", type=int, default=8)
    options = parser.parse_args()
    peer, nn_fix, version = import_peer(options.repo)
    runs = measure_training_speed(make_build(peer, nn_fix, options.bits), options)
    print_json(options, {"peer": f"nics_fix_pytorch {version}", "runs": runs})


if __name__ == "__main__":
    main()
