//! Which layers a name pattern means.

use fixgrad::graph::{GraphView, Layer};
use wildmatch::WildMatch;

use super::{at::At, problems::Problems, suggest::nearest};

/// A name pattern, or `kind:` and the word for a kind.
pub(super) fn fits(pattern: &str, layer: &Layer) -> bool {
    match pattern.strip_prefix("kind:") {
        Some(kind) => kind == layer.kind.word(),
        None => WildMatch::new(pattern).matches(layer.name.as_str()),
    }
}

/// Reports a pattern that means no layer; true when it means one.
pub(super) fn check(pattern: &At<String>, graph: GraphView<'_>, problems: &mut Problems) -> bool {
    if graph.layers().iter().any(|layer| fits(&pattern.value, layer)) {
        return true;
    }
    let names = || graph.layers().iter().map(|layer| layer.name.as_str());
    let near = nearest(&pattern.value, names());
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    problems.error(
        pattern.span(),
        format!("no layer is named `{}`", pattern.value),
        format!("{near}The layers are {}", names().collect::<Vec<_>>().join(", ")),
    );
    false
}
