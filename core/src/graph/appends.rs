//! A builder method a layer.

use super::builder::Graph;
use crate::layer::{
    AvgPool2d, BatchNorm, Conv2d, Dense, DepthwiseConv2d, Dropout, Flatten, GlobalAvgPool,
    Hardsigmoid, Hardtanh, Kind, LeakyRelu, Lstm, MaxPool2d, Relu, Relu6, Sigmoid, Split, Tanh,
};

impl<const N: usize> Graph<N> {
    /// Appends a fully connected layer with a bias.
    #[must_use]
    pub const fn dense(self, name: &str, units: u16) -> Self {
        self.layer(name, Kind::Dense(Dense::new(units)))
    }

    /// Appends a fully connected layer without a bias.
    #[must_use]
    pub const fn dense_without_bias(self, name: &str, units: u16) -> Self {
        self.layer(name, Kind::Dense(Dense::new(units).without_bias()))
    }

    /// Appends a convolution.
    ///
    /// ```
    /// use fixgrad::graph::{Conv2d, Graph};
    ///
    /// const NET: Graph<4> = Graph::input([1, 28, 28])
    ///     .conv2d("conv1", Conv2d::new(6, 5))
    ///     .relu()
    ///     .max_pool(2)
    ///     .expect([6, 12, 12]);
    /// ```
    ///
    /// A window that does not fit is a build error:
    ///
    /// ```compile_fail
    /// # use fixgrad::graph::{Conv2d, Graph};
    /// const NET: Graph<2> = Graph::input([1, 4, 4]).conv2d("conv1", Conv2d::new(6, 5));
    /// ```
    #[must_use]
    pub const fn conv2d(self, name: &str, conv: Conv2d) -> Self {
        self.layer(name, Kind::Conv2d(conv))
    }

    /// Appends a convolution in which every channel has weights of its own: a [`conv2d`](Self::conv2d)
    /// with as many groups as channels come in.
    #[must_use]
    pub const fn depthwise_conv2d(self, name: &str, conv: DepthwiseConv2d) -> Self {
        let conv = conv.on(self.shape());
        self.fitted(name, conv)
    }

    /// Appends a convolution over lines of numbers, such as [`Conv2d::along`] makes: a
    /// [`conv2d`](Self::conv2d) that refuses inputs and kernels of more than one row.
    ///
    /// ```compile_fail
    /// # use fixgrad::graph::{Conv2d, Graph};
    /// // Six lines of 128 numbers are [6, 1, 128].
    /// const NET: Graph<2> = Graph::input([1, 6, 128]).conv1d("conv1", Conv2d::along(16, 5));
    /// ```
    #[must_use]
    pub const fn conv1d(self, name: &str, conv: Conv2d) -> Self {
        let conv = conv.over_lines(self.shape());
        self.fitted(name, conv)
    }

    /// Appends cells that go through a sequence and remember.
    ///
    /// ```
    /// use fixgrad::graph::{Graph, Lstm};
    ///
    /// // Six numbers of a sensor, 50 times.
    /// const NET: Graph<3> = Graph::input([6, 1, 50]).lstm("lstm1", Lstm::new(16)).dense("fc", 4);
    /// ```
    ///
    /// A vector is no sequence:
    ///
    /// ```compile_fail
    /// # use fixgrad::graph::{Graph, Lstm};
    /// const NET: Graph<2> = Graph::input([300, 1, 1]).lstm("lstm1", Lstm::new(16));
    /// ```
    #[must_use]
    pub const fn lstm(self, name: &str, lstm: Lstm) -> Self {
        self.layer(name, Kind::Lstm(lstm))
    }

    /// Appends `max(x, 0)`, named `relu` and its place in the table.
    #[must_use]
    pub const fn relu(self) -> Self {
        self.unnamed(Kind::Relu(Relu))
    }

    /// Appends `min(max(x, 0), 6)`, named `relu6` and its place.
    #[must_use]
    pub const fn relu6(self) -> Self {
        self.unnamed(Kind::Relu6(Relu6))
    }

    /// Appends `min(max(x, -1), 1)`, named `hardtanh` and its place.
    #[must_use]
    pub const fn hardtanh(self) -> Self {
        self.unnamed(Kind::Hardtanh(Hardtanh::new()))
    }

    /// Appends a ReLU with a slope of `2^-shift` where numbers are negative, named `leaky_relu` and its
    /// place.
    #[must_use]
    pub const fn leaky_relu(self, shift: u8) -> Self {
        self.unnamed(Kind::LeakyRelu(LeakyRelu::new(shift)))
    }

    /// Appends `1 / (1 + exp(-x))`, named `sigmoid` and its place.
    #[must_use]
    pub const fn sigmoid(self) -> Self {
        self.unnamed(Kind::Sigmoid(Sigmoid))
    }

    /// Appends the hyperbolic tangent, named `tanh` and its place.
    #[must_use]
    pub const fn tanh(self) -> Self {
        self.unnamed(Kind::Tanh(Tanh))
    }

    /// Appends `relu6(x + 3) / 6`, named `hardsigmoid` and its place.
    #[must_use]
    pub const fn hardsigmoid(self) -> Self {
        self.unnamed(Kind::Hardsigmoid(Hardsigmoid))
    }

    /// Appends a layer that leaves `part / of` of the numbers out in training, named `dropout` and its
    /// place.
    ///
    /// ```
    /// use fixgrad::graph::Graph;
    ///
    /// const NET: Graph<5> =
    ///     Graph::input([64, 1, 1]).dense("fc1", 32).relu().dropout(1, 5).dense("fc2", 10);
    /// ```
    #[must_use]
    pub const fn dropout(self, part: u16, of: u16) -> Self {
        self.unnamed(Kind::Dropout(Dropout::new(part, of)))
    }

    /// Appends a normalisation of every channel, named `batch_norm` and its place.
    ///
    /// ```
    /// use fixgrad::graph::{Conv2d, Graph};
    ///
    /// const NET: Graph<5> = Graph::input([1, 8, 8])
    ///     .conv2d("conv1", Conv2d::new(8, 3).without_bias())
    ///     .batch_norm()
    ///     .relu()
    ///     .dense("fc", 10);
    /// ```
    #[must_use]
    pub const fn batch_norm(self) -> Self {
        self.unnamed(Kind::BatchNorm(BatchNorm::new()))
    }

    /// Appends the largest number of every window of `kernel` by `kernel` pixels, side by side, named
    /// `max_pool2d` and its place.
    #[must_use]
    pub const fn max_pool(self, kernel: u8) -> Self {
        self.unnamed(Kind::MaxPool2d(MaxPool2d::new(kernel)))
    }

    /// Appends the mean of every window of `kernel` by `kernel` pixels, side by side, named
    /// `avg_pool2d` and its place.
    #[must_use]
    pub const fn avg_pool(self, kernel: u8) -> Self {
        self.unnamed(Kind::AvgPool2d(AvgPool2d::new(kernel)))
    }

    /// Appends the mean of every channel, named `global_avg_pool` and its place.
    #[must_use]
    pub const fn global_avg_pool(self) -> Self {
        self.unnamed(Kind::GlobalAvgPool(GlobalAvgPool))
    }

    /// Appends a layer that makes a vector of any shape, named `flatten` and its place.
    #[must_use]
    pub const fn flatten(self) -> Self {
        self.unnamed(Kind::Flatten(Flatten))
    }

    /// Appends some of the channels: `channels` of them, of which `first` is the first. Named `split`
    /// and its place.
    #[must_use]
    pub const fn split(self, first: u16, channels: u16) -> Self {
        self.unnamed(Kind::Split(Split::new(first, channels)))
    }
}
