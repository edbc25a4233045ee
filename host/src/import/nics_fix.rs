//! A nics_fix file as sections of ours, and what changed meaning on the way.

use serde::Serialize;

use super::{
    quantisers::{Has, Notes, floats, layer},
    source::{File, Op},
    strategies,
};
use crate::config::{
    At, ByKind, ByName, Diagnostic, Diagnostics, Fixed, LayerKeys, StrategyKeys, yaml,
};

/// What a file became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The sections `fixed:` and `strategies:`, as far as the file has them, with the notes as
    /// comments above.
    pub yaml: String,
    /// What changed meaning.
    pub notes: Vec<String>,
}

#[derive(Serialize)]
struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed: Option<Fixed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strategies: Vec<At<StrategyKeys>>,
}

/// Reads a fixed-point or strategy file of nics_fix. `file` is what errors call it.
pub fn nics_fix(file: &str, text: &str) -> Result<Imported, Diagnostics> {
    let source: File = yaml::parse(file, text)?;
    let templates = expand(&source).map_err(|item| Diagnostics::new(file, text, vec![item]))?;
    let mut notes = Notes(Vec::new());
    let mut output = Output { fixed: None, strategies: Vec::new() };
    let by_type = source.by_type.0.iter().map(|entry| (entry, true));
    let by_name = source.by_name.0.iter().map(|entry| (entry, false));
    for (((key, ops), by_type), expanded) in by_type.chain(by_name).zip(templates) {
        for (op, expanded) in ops.0.iter().zip(expanded) {
            let entry = Entry { key: &key.value, by_type, op: &expanded };
            match &op.name {
                Some(name) => output.strategies.extend(entry.strategies(&name.value, &mut notes)),
                None => entry.settings(&mut output.fixed, &mut notes),
            }
        }
    }
    let mut all = general(&output);
    all.extend(notes.0);
    let body = serde_saphyr::to_string(&output).map_err(|error| {
        Diagnostics::new(
            file,
            "",
            vec![Diagnostic {
                message: format!("the result cannot be written: {error}"),
                span: None,
                help: String::new(),
            }],
        )
    })?;
    let comments: String = all.iter().map(|note| format!("# - {note}\n")).collect();
    let yaml = format!(
        "# From nics_fix's {file}. Add the sections `model`, `data` and `train`, and give the \
         layers the names used here.\n# What changed meaning:\n{comments}{body}"
    );
    Ok(Imported { yaml, notes: all })
}

/// Every entry with its template filled in: its own keys replace the template's as a whole.
fn expand(source: &File) -> Result<Vec<Vec<Op>>, Diagnostic> {
    let fill = |op: &Op| -> Result<Op, Diagnostic> {
        let Some(tag) = &op.config_name else { return Ok(op.clone()) };
        let found = source.configs.0.iter().find(|(name, _)| name.value == tag.value);
        let Some((_, template)) = found else {
            let names: Vec<&str> =
                source.configs.0.iter().map(|(name, _)| name.value.as_str()).collect();
            return Err(Diagnostic {
                message: format!("no template is named `{}`", tag.value),
                span: tag.span(),
                help: format!("`configs` has: {}", names.join(", ")),
            });
        };
        let (own, template) = (op.clone(), template.clone());
        Ok(Op {
            weight: own.weight.or(template.weight),
            activation: own.activation.or(template.activation),
            ..own
        })
    };
    let entries = source.by_type.0.iter().chain(&source.by_name.0);
    entries.map(|(_, ops)| ops.0.iter().map(fill).collect()).collect()
}

/// What every import changes.
fn general(output: &Output) -> Vec<String> {
    let mut notes = Vec::new();
    if output.fixed.is_some() {
        notes.extend([
            "everything is an integer here: master weights, loss, optimiser and sums too. What was \
             float has 16 bits, and master weights have 32 bits in the range -8 to 8",
            "`auto` is `max`. There 0.00001 is added before the power of two is chosen, so that a \
             largest value of exactly 2^N got the bound N+1; here it gets N",
            "an all-zero tensor keeps the bound it had; there it got 2^-16",
            "an entry by name replaces the entry by type there; here the two are merged, so each \
             entry below says everything",
            "`not_training` became `infer`; gradient quantisers have no such switch in either",
        ]);
    }
    notes.into_iter().map(str::to_owned).collect()
}

struct Entry<'a> {
    key: &'a str,
    by_type: bool,
    op: &'a Op,
}

impl Entry<'_> {
    fn kind(&self) -> Option<&'static str> {
        match self.key {
            "Dense" => Some("dense"),
            "ReLU" => Some("relu"),
            "Flatten" => Some("flatten"),
            "data" => Some("data"),
            _ => None,
        }
    }

    fn unknown(&self, notes: &mut Notes) {
        notes.add(format!("by_type {}: no layer here is of this kind; left out", self.key));
    }

    fn strategies(&self, name: &str, notes: &mut Notes) -> Vec<At<StrategyKeys>> {
        let pattern = match (self.by_type, self.kind()) {
            (false, _) => self.key.to_owned(),
            (true, Some(kind)) => format!("kind:{kind}"),
            (true, None) => {
                self.unknown(notes);
                return Vec::new();
            }
        };
        strategies::convert(&pattern, name, self.op, notes)
    }

    fn settings(&self, fixed: &mut Option<Fixed>, notes: &mut Notes) {
        let fixed =
            fixed.get_or_insert_with(|| Fixed { default: Some(floats()), ..Fixed::default() });
        if self.by_type && self.kind().is_none() {
            self.unknown(notes);
            return;
        }
        let weights = match self.by_type {
            true => self.kind() == Some("dense"),
            false => self.op.weight.is_some(),
        };
        let place =
            if self.by_type { format!("by_type {}", self.key) } else { self.key.to_owned() };
        let keys = layer(&place, self.op, Has { weights, gradients: self.key != "data" }, notes);
        if !self.by_type {
            self.named(&mut fixed.by_name, keys, weights, notes);
            return;
        }
        let kinds = fixed.by_kind.get_or_insert_with(ByKind::default);
        let slot = match self.kind() {
            Some("relu") => &mut kinds.relu,
            Some("flatten") => &mut kinds.flatten,
            Some("data") => &mut kinds.data,
            _ => &mut kinds.dense,
        };
        *slot = Some(keys.into());
    }

    fn named(&self, by_name: &mut ByName, keys: LayerKeys, weights: bool, notes: &mut Notes) {
        if fixgrad::graph::Name::new(self.key).is_none() {
            notes.add(format!(
                "`{}` is no layer name here: use 1 to 15 letters, digits, '_', '-', '.' or '/'",
                self.key
            ));
        }
        if !weights && self.key != "data" {
            notes.add(format!(
                "{}: nothing is said about weights; if the layer has some, they keep what \
                 `by_kind` or `default` say, and there they were float",
                self.key
            ));
        }
        by_name.0.push((self.key.to_owned().into(), keys));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DatasetFacts, Experiment};

    const FIXED: &str = "\
configs:
  hw:
    weight:
      data_config: { training: auto, not_training: fixed, bit_width: 4 }
      gradient_config: { training: auto, bit_width: 4 }
    activation:
      data_config: { training: auto, not_training: fixed, bit_width: 4 }
      gradient_config: { training: auto, bit_width: 8 }
by_type:
  data:
    activation:
      data_config: { training: auto, not_training: fixed, bit_width: 4 }
  Conv2D: { config_name: hw }
  Dense: { config_name: hw }
by_name:
  dense2:
    config_name: hw
    weight:
      data_config: { training: -1, not_training: none, bit_width: 6 }
      gradient_config: { training: -3 }
";

    const STRATEGY: &str = "\
by_type:
  Dense:
    name: noise_strategy
    weight: { data_config: { pre: { type: uniform_ratio } } }
    activation: { gradient_config: { post: { type: uniform, min: -0.1, max: 0.1 } } }
by_name:
  dense1:
    - { name: weightgradsaver_strategy, scale: -2 }
    - { name: my_strategy }
";

    const REST: &str = "\
model:
  layers:
    - flatten
    - dense: { name: dense1, units: 9 }
    - relu
    - dense: { name: dense2, units: 10 }
data: digits
train: { steps: 10, batch: 100, lr: 0.5 }
";

    fn compiles(imported: &Imported) {
        let facts =
            DatasetFacts { shape: [1, 8, 8], outputs: 10, classes: true, train_samples: 1280 };
        let text = format!("{}{}", imported.yaml, REST);
        let compiled = Experiment::parse("a.yaml", &text).and_then(|file| file.compile(&facts));
        compiled.unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    }

    fn shown(text: &str) -> String {
        match nics_fix("a.sample", text) {
            Ok(imported) => {
                compiles(&imported);
                imported.yaml
            }
            Err(errors) => errors.to_string(),
        }
    }

    #[test]
    fn fixed_settings() {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(shown(FIXED));
        });
    }

    #[test]
    fn strategies() {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("import_strategies", shown(STRATEGY));
        });
    }

    #[test]
    fn what_is_wrong_is_shown_in_its_place() {
        let cases = [
            FIXED.replacen("config_name: hw", "config_name: hv", 1),
            FIXED.replacen("bit_width", "bitwidth", 1),
            FIXED.replacen("training: auto", "training: 0.5", 1),
            FIXED.replacen("training: auto", "training: automatic", 1),
            STRATEGY.replace("uniform_ratio", "gauss"),
        ];
        let shown: Vec<String> = cases.iter().map(|text| shown(text)).collect();
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("import_errors", shown.join("\n\n"));
        });
    }

    #[test]
    fn an_empty_section_is_no_error() {
        assert_eq!(nics_fix("a", "by_name:\n").unwrap().notes, Vec::<String>::new());
    }
}
