//! `lstm: { units: 32, return_sequences: true, truncate: 16 }`.

use fixgrad::graph::{Lstm, Returns};

use super::{Words, Writes, keys::keys};

keys! {
    /// Cells that go through a sequence and remember.
    LstmKeys {
        /// Cells, and numbers in the output of a step.
        units: u16,
        /// Whether the outputs of all steps are handed on, or that of the last one; by default that.
        return_sequences: bool,
        /// Gradients go back through so many steps at most; by default, or with 0, through all.
        truncate: u16,
        /// Weights before the first step; `he_uniform` by default. Biases of forget gates begin next to one,
        /// all others at zero.
        #[schemars(with = "Option<super::keys::InitWord>")]
        init: fixgrad::config::Init,
    }
    fn inits(&self) -> [Option<fixgrad::config::Init>; 2] {
        [self.init, None]
    }
    fn say(&mut self, row: &super::Row<'_>) {
        self.init = Some(row.inits[0]);
    }
}

impl Words for Lstm {
    type Keys = LstmKeys;
    const NEEDS: &str = "`units`";
    const EXAMPLE: &str = "{ units: 32 }";

    fn read(keys: &LstmKeys) -> Option<Self> {
        let returns = match keys.return_sequences {
            Some(true) => Returns::Sequence,
            _ => Returns::Last,
        };
        Some(Self { units: keys.units?, returns, truncate: keys.truncate.unwrap_or(0) })
    }
}

impl Writes for Lstm {
    fn write(self) -> LstmKeys {
        LstmKeys {
            units: Some(self.units),
            return_sequences: Some(self.returns == Returns::Sequence),
            truncate: Some(self.truncate),
            ..LstmKeys::default()
        }
    }
}
