//! The networks that are measured.

use fixgrad::{
    graph::{Conv2d, DepthwiseConv2d},
    prelude::Graph,
};

/// Most layers of a network.
pub(crate) const LAYERS: usize = 28;
/// A network.
pub(crate) type Network = Graph<LAYERS>;

/// A hidden layer over MNIST.
pub(crate) const MLP: Network = Graph::input([1, 28, 28]).dense("fc1", 100).relu().dense("fc2", 10);

/// A hidden layer over the built-in digits.
pub(crate) const SMALL: Network = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);

/// As `configs/mnist_lenet_w8.yaml`.
pub(crate) const LENET: Network = Graph::input([1, 28, 28])
    .conv2d("conv1", Conv2d::new(6, 5))
    .relu()
    .max_pool(2)
    .conv2d("conv2", Conv2d::new(16, 5))
    .relu()
    .max_pool(2)
    .dense("fc1", 120)
    .relu()
    .dense("fc2", 84)
    .relu()
    .dense("fc3", 10);

const fn same(channels: u16) -> Conv2d {
    Conv2d::new(channels, 3).same()
}

/// As `configs/digits_dscnn_w8.yaml`.
pub(crate) const DIGITS_DSCNN: Network = Graph::input([1, 8, 8])
    .conv2d("conv1", same(16))
    .relu()
    .depthwise_conv2d("depthwise1", DepthwiseConv2d::new(3).same())
    .relu()
    .conv2d("pointwise1", Conv2d::new(32, 1))
    .relu()
    .depthwise_conv2d("depthwise2", DepthwiseConv2d::new(3).same())
    .relu()
    .conv2d("pointwise2", Conv2d::new(64, 1))
    .relu()
    .global_avg_pool()
    .dense("fc", 10);

/// As `core/examples/keywords.rs`.
pub(crate) const DSCNN_S: Network = separable(
    separable(
        separable(
            separable(
                Graph::input([1, 49, 10])
                    .conv2d(
                        "conv1",
                        Conv2d { kernel: [10, 4], ..Conv2d::new(64, 1).stride(2).same() },
                    )
                    .relu(),
                ["depthwise1", "pointwise1"],
            ),
            ["depthwise2", "pointwise2"],
        ),
        ["depthwise3", "pointwise3"],
    ),
    ["depthwise4", "pointwise4"],
)
.global_avg_pool()
.dense("fc", 12);

/// A depthwise separable block of 64 channels.
const fn separable(graph: Network, [depthwise, pointwise]: [&str; 2]) -> Network {
    graph
        .depthwise_conv2d(depthwise, DepthwiseConv2d::new(3).same())
        .relu()
        .conv2d(pointwise, Conv2d::new(64, 1))
        .relu()
}

/// As `configs/cifar10_conv4.yaml`.
pub(crate) const CONV4: Network = Graph::input([3, 32, 32])
    .conv2d("conv1_1", same(32))
    .relu()
    .conv2d("conv1_2", same(32))
    .relu()
    .max_pool(2)
    .conv2d("conv2_1", same(64))
    .relu()
    .conv2d("conv2_2", same(64))
    .relu()
    .max_pool(2)
    .dense("fc1", 512)
    .relu()
    .dense("fc2", 10);

/// As `configs/cifar10_vgg11_w8.yaml`.
pub(crate) const VGG11: Network = Graph::input([3, 32, 32])
    .conv2d("conv1", same(64))
    .relu()
    .max_pool(2)
    .conv2d("conv2", same(128))
    .relu()
    .max_pool(2)
    .conv2d("conv3_1", same(256))
    .relu()
    .conv2d("conv3_2", same(256))
    .relu()
    .max_pool(2)
    .conv2d("conv4_1", same(512))
    .relu()
    .conv2d("conv4_2", same(512))
    .relu()
    .max_pool(2)
    .conv2d("conv5_1", same(512))
    .relu()
    .conv2d("conv5_2", same(512))
    .relu()
    .max_pool(2)
    .dense("fc1", 512)
    .relu()
    .dense("fc2", 512)
    .relu()
    .dense("fc3", 10);
