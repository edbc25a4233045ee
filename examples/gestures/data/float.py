"""What float models make of the same features and the same split.

    pip install numpy scikit-learn
    python3 float.py
"""

import struct
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# As many steps of as many windows as the integers take, at the same rate.
SGD = {"solver": "sgd", "learning_rate_init": 0.5, "momentum": 0, "alpha": 0, "batch_size": 16}
SGD |= {"max_iter": 213, "n_iter_no_change": 213}

RECORD = struct.Struct("<B300h")


def features(window):
    mean = window.mean(0)
    turns = ((window[1:] < mean) != (window[:-1] < mean)).sum(0) / 100
    half = (window.max(0) - window.min(0)) / 2
    return np.stack([mean, window.std(0), half, (window**2).mean(0), turns], 1).ravel()


records = RECORD.iter_unpack((Path(__file__).parent / "motions.bin").read_bytes())
labels, windows = zip(*((label, readings) for label, *readings in records))
x = np.array([features(np.reshape(window, (100, 3)) / 8192) for window in windows])
y = np.array(labels)
for name, model in [
    ("logistic regression", lambda seed: LogisticRegression(max_iter=5000)),
    ("MLP 15-16-4", lambda seed: MLPClassifier(16, random_state=seed, **SGD)),
]:
    for scaled in [False, True]:
        right = []
        for seed in range(5):
            pipe = make_pipeline(*[StandardScaler()] * scaled, model(seed))
            right.append(int((pipe.fit(x[:40], y[:40]).predict(x[40:]) == y[40:]).sum()))
        print(f"{name}{', scaled' * scaled}: {right} of 40, mean {np.mean(right) / 0.4:.1f} %")
