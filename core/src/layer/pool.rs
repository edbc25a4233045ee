//! What pools have in common: settings, and the windows that follow from them.

/// Makes a pool's settings as a type, with a `const` builder and `windows` of an input.
macro_rules! pool {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name {
            /// Pixels of a window.
            pub kernel: [u8; 2],
            /// Pixels from one window to the next.
            pub stride: [u8; 2],
            /// Room around the picture.
            pub padding: $crate::layer::Padding,
        }

        impl $name {
            /// Square windows side by side.
            pub const fn new(kernel: u8) -> Self {
                let padding = $crate::layer::Padding::Valid;
                Self { kernel: [kernel; 2], stride: [kernel; 2], padding }
            }

            /// Over lines of numbers side by side: inputs of a shape `[channels, 1, length]`.
            pub const fn along(kernel: u8) -> Self {
                Self { kernel: [1, kernel], stride: [1, kernel], ..Self::new(kernel) }
            }

            /// With a window every `stride` pixels.
            #[must_use]
            pub const fn stride(self, stride: u8) -> Self {
                Self { stride: [stride; 2], ..self }
            }

            /// With room around the picture.
            #[must_use]
            pub const fn padding(self, padding: $crate::layer::Padding) -> Self {
                Self { padding, ..self }
            }

            const fn windows(
                self,
                from: $crate::tensor::Shape,
            ) -> Result<$crate::tensor::Windows, $crate::layer::Misfit> {
                let Self { kernel: [height, width], stride: [down, right], padding } = self;
                let (size, stride) = ([height as u16, width as u16], [down as u16, right as u16]);
                $crate::layer::facts::windows(from, size, stride, padding)
            }
        }
    };
}
pub(super) use pool;
