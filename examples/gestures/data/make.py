"""Makes motions.bin from BasicMotions, as the Python packages aeon and sktime ship it.

    pip download --no-deps aeon==1.6.0
    unzip -j aeon-1.6.0-py3-none-any.whl 'aeon/datasets/data/BasicMotions/*.ts'
    python3 make.py .

Needs nothing but Python. The argument is the folder with the two .ts files.
"""

import struct
import sys
from pathlib import Path

CLASSES = ["Standing", "Walking", "Running", "Badminton"]
GRAVITY = 9.80665  # m/s^2 in one g
UNIT = 2.0**-13  # of a 16-bit mantissa at full scale 4 g, in g
STEP = 16  # twelve of the sixteen bits count


def records(path):
    lines = path.read_text().splitlines()
    for line in lines[lines.index("@data") + 1 :]:
        *channels, label = line.split(":")
        # The first three of six channels are the accelerometer's.
        yield CLASSES.index(label), [[float(v) for v in c.split(",")] for c in channels[:3]]


def mantissa(value):
    code = round(value / GRAVITY / UNIT / STEP)
    return max(-2048, min(2047, code)) * STEP


def main(folder):
    with open(Path(__file__).parent / "motions.bin", "wb") as out:
        for part in ["TRAIN", "TEST"]:
            for label, axes in records(folder / f"BasicMotions_{part}.ts"):
                samples = [mantissa(value) for sample in zip(*axes) for value in sample]
                out.write(struct.pack("<B300h", label, *samples))


main(Path(sys.argv[1]))
