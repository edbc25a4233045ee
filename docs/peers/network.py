"""The layers of a fixgrad configuration as PyTorch modules: `model.layers`, from top to bottom."""

import math

from torch import nn

ZERO = 0.0
NEVER_WINS = -math.inf


def take(mapping, where, **defaults):
    """The values of a section's keys, in the order of `defaults`; any other key is an error."""
    unknown = set(mapping) - set(defaults)
    if unknown:
        known = ", ".join(defaults)
        raise SystemExit(f"{where}: expected nothing but {known}, found {', '.join(sorted(unknown))}")
    return [mapping.get(key, default) for key, default in defaults.items()]


def needed(value, where, key):
    """A value that has no default."""
    if value is None:
        raise SystemExit(f"{where}: expected `{key}`, found none")
    return value


def pair(value, where):
    """A number for both directions, or `[vertical, horizontal]`."""
    both = value if isinstance(value, list) else [value, value]
    if len(both) != 2 or not all(isinstance(one, int) for one in both):
        raise SystemExit(f"{where}: expected a number, or two as [vertical, horizontal], found {value}")
    return both


def paddings(padding, side, kernel, stride, where):
    """Pixels before and after the picture in each direction, as fixgrad defines `same`."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if padding == "same":
        totals = [max(0, (-(-n // s) - 1) * s + k - n) for n, k, s in zip(side, kernel, stride)]
        return [(total // 2, total - total // 2) for total in totals]
    if isinstance(padding, str):
        raise SystemExit(f"{where}: expected `valid`, `same` or numbers, found {padding}")
    return [(each, each) for each in pair(padding, where)]


class Builder:
    """Modules of one layer after the other, and the shape of a sample behind the last of them.

    `conv2d` and `linear` make the modules with weights; `point`, if given, makes what follows them and the samples.
    """

    def __init__(self, shape, conv2d, linear, point):
        self.shape, self.conv2d, self.linear, self.point = list(shape), conv2d, linear, point
        self.modules = []
        self.add_point()

    def add_point(self):
        if self.point:
            self.modules.append(self.point())

    def windows(self, where, kernel, stride, padding, beside):
        """Settings of a module that looks at windows. Where PyTorch cannot pad as needed, a module before it does."""
        if len(self.shape) != 3:
            raise SystemExit(f"{where}: expected a picture to look at, found {self.shape[0]} numbers behind `flatten`")
        kernel = pair(needed(kernel, where, "kernel"), where)
        stride = pair(stride, where)
        rows, columns = paddings(padding, self.shape[1:], kernel, stride, where)
        self.shape[1:] = [
            (side + sum(room) - k) // s + 1 for side, room, k, s in zip(self.shape[1:], (rows, columns), kernel, stride)
        ]
        room = (rows[0], columns[0])
        if rows[0] != rows[1] or columns[0] != columns[1]:
            self.modules.append(nn.ConstantPad2d((*columns, *rows), beside))
            room = (0, 0)
        return {"kernel_size": tuple(kernel), "stride": tuple(stride), "padding": room}

    def weighted(self, module):
        """A module with fixgrad's initial weights."""
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        self.modules.append(module)
        self.add_point()

    def add(self, kind, settings, where):
        """Appends a layer."""
        match kind:
            case "dense":
                _, units, bias = take(settings, where, name=None, units=None, bias=True)
                if len(self.shape) != 1:
                    raise SystemExit(f"{where}: expected `flatten` before it, found a shape of {self.shape}")
                units = needed(units, where, "units")
                self.weighted(self.linear(self.shape[0], units, bias=bias))
                self.shape = [units]
            case "conv2d":
                _, channels, kernel, stride, padding, groups, bias = take(
                    settings, where, name=None, channels=None, kernel=None, stride=1, padding="valid", groups=1, bias=True
                )
                channels = needed(channels, where, "channels")
                windows = self.windows(where, kernel, stride, padding, ZERO)
                self.weighted(self.conv2d(self.shape[0], channels, **windows, groups=groups, bias=bias))
                self.shape[0] = channels
            case "max_pool2d" | "avg_pool2d":
                _, kernel, stride, padding = take(
                    settings, where, name=None, kernel=None, stride=None, padding="valid"
                )
                stride = kernel if stride is None else stride
                if kind == "max_pool2d":
                    self.modules.append(nn.MaxPool2d(**self.windows(where, kernel, stride, padding, NEVER_WINS)))
                else:
                    self.modules.append(nn.AvgPool2d(**self.windows(where, kernel, stride, padding, ZERO)))
                    self.add_point()
            case "global_avg_pool":
                take(settings, where, name=None)
                self.modules.append(nn.AdaptiveAvgPool2d(1))
                self.add_point()
                self.shape[1:] = [1, 1]
            case "batch_norm":
                _, momentum, eps, frozen = take(
                    settings, where, name=None, momentum=0.125, eps=2.0**-17, frozen=False
                )
                if frozen:
                    raise SystemExit(f"{where}: frozen statistics are not made here")
                # As fixgrad has them: the nearest powers of two.
                momentum, eps = (2.0 ** round(math.log2(value)) for value in (momentum, eps))
                norm = nn.BatchNorm2d if len(self.shape) == 3 else nn.BatchNorm1d
                self.modules.append(norm(self.shape[0], eps=eps, momentum=momentum))
                self.add_point()
            case "dropout":
                _, p = take(settings, where, name=None, p=None)
                self.modules.append(nn.Dropout(needed(p, where, "p")))
            case "relu":
                take(settings, where, name=None)
                self.modules.append(nn.ReLU())
            case "flatten":
                take(settings, where, name=None)
                self.modules.append(nn.Flatten())
                self.shape = [math.prod(self.shape)]
            case _:
                raise SystemExit(
                    f"{where}: expected dense, conv2d, batch_norm, max_pool2d, avg_pool2d, global_avg_pool, dropout, "
                    "relu or flatten"
                )


def build(layers, shape, conv2d=nn.Conv2d, linear=nn.Linear, point=None):
    """The network for samples of `shape`, with fixgrad's initial weights: uniform in +-sqrt(6 / fan-in), biases zero."""
    builder = Builder(shape, conv2d, linear, point)
    for number, layer in enumerate(layers):
        kind, settings = (layer, {}) if isinstance(layer, str) else next(iter(layer.items()))
        builder.add(kind, settings or {}, f"model.layers[{number}], {kind}")
    return nn.Sequential(*builder.modules)


def weights(model):
    """The weights of all layers; biases are not among them."""
    weighted = (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d)
    return [module.weight for module in model if isinstance(module, weighted)]
