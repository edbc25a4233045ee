//! Good configurations, one for each kind of network, which fuzzing damages.

/// Dense layers.
pub const VECTORS: &str = "\
model:
  layers: [flatten, {dense: {name: fc1, units: 6}}, relu, {dense: {name: fc2, units: 10}}]
data: digits
train: {epochs: 3, batch: 4, micro_batch: 2, lr: 0.5, schedule: cosine, momentum: 0.9}
fixed:
  default:
    weight: {bits: 8}
    activation: {bits: 8, range: three_sigma}
    weight_grad: {bits: 8, round: stochastic}
    activation_grad: {bits: 8, round: stochastic}
    master: {bits: 16, bound: 1}
strategies:
  - noise: {layers: 'fc*', place: weight, pre: {uniform: {min: -0.4, max: 0.4}}}
";

/// Convolutions and pools.
pub const PICTURES: &str = "\
model:
  layers:
    - conv2d: {name: conv1, channels: 4, kernel: 3, padding: same, stride: 2}
    - relu
    - max_pool2d: {name: pool1, kernel: 2}
    - conv2d: {name: conv2, channels: 8, kernel: [1, 2], groups: 4, bias: false}
    - avg_pool2d: {name: pool2, kernel: [2, 1], stride: 1}
    - global_avg_pool: {name: mean}
    - dense: {name: fc, units: 10}
data: digits
train: {epochs: 3, batch: 4, lr: 0.5}
fixed:
  default:
    weight: {bits: 8}
    activation: {bits: 8}
    weight_grad: {bits: 8}
    activation_grad: {bits: 8}
    master: {bits: 16, bound: 1}
";

/// Cells that go through time.
pub const SERIES: &str = "\
model:
  layers:
    - lstm: {name: cells, units: 6, return_sequences: true, truncate: 4}
    - batch_norm: {name: norm}
    - lstm: {name: last, units: 5}
    - dropout: {p: 0.2}
    - dense: {name: fc, units: 10}
data: digits
train: {epochs: 3, batch: 4, recompute: true, lr: 0.5, optimizer: lion}
fixed:
  default:
    weight: {bits: 4}
    activation: {bits: 8, range: {moving: {window: 3}}}
    weight_grad: {bits: 8, range: keep}
    activation_grad: {bits: 16, range: {moving: {window: 2}}}
    master: {bits: 8, bound: 0}
";

/// A file of nics_fix.
pub const NICS_FIX: &str = "\
configs:
  hw:
    weight:
      data_config: { training: auto, not_training: fixed, bit_width: 4 }
      gradient_config: { training: -3, bit_width: 4 }
    activation:
      data_config: { training: auto, not_training: fixed, bit_width: 4 }
by_type:
  Dense: { config_name: hw }
by_name:
  dense1:
    - { name: weightgradsaver_strategy, scale: -2 }
";
