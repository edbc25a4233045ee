//! From the `model:` section to the graph.

use fixgrad::{
    config::Init,
    graph::{Conv2d, Graph, GraphError, GraphView, Input, Kind, Name},
    tensor::Shape,
};

use super::{
    at::At,
    model::{LayerEntry, Model, Resolved},
    problems::Problems,
    suggest::remedy,
    training::note,
};

/// Most layers of a network that the desktop compiles, the data counted.
pub const MAX_LAYERS: usize = 128;

/// The graph, and what each of its layers is. `None` when something is wrong, which `problems`
/// then holds.
pub(super) fn build(
    model: &Model,
    data: [usize; 3],
    problems: &mut Problems,
) -> Option<(Graph<MAX_LAYERS>, Vec<Resolved>)> {
    let shape = input(model, data, problems)?;
    let mut graph = Graph::empty();
    if let Err(error) = graph.push_input(shape) {
        let span = model.input.as_ref().and_then(At::span);
        problems.error(span, error.to_string(), "a sample holds 1 to 16,777,215 numbers");
        return None;
    }
    let defaults = model.defaults.clone().unwrap_or_default();
    let data = Resolved { kind: Input.into(), init: Init::HeUniform, bias_init: Init::Zero };
    let mut layers = vec![data];
    for (place, entry) in (1..).zip(&model.layers) {
        let LayerEntry(mapping) = &entry.value;
        let resolved = mapping.resolve(&defaults).map_err(|[message, help]| {
            problems.error(entry.span(), message, help);
        });
        let written = resolved.ok()?;
        let keys = mapping.keys();
        let [name, from] = keys.place();
        let input = match from {
            Some(from) => read(from, graph.view(), problems)?,
            None => place - 1,
        };
        let other = match keys.other() {
            Some(other) => read(other, graph.view(), problems)?,
            None => input,
        };
        let name = name.map(|name| name.value.clone());
        let named = |kind: Kind| {
            name.clone().unwrap_or_else(|| Name::numbered(kind.word(), place).to_string())
        };
        let shape = graph.view().layers().get(usize::from(input)).map_or(shape, |from| from.shape);
        let pushed = match written.on(shape) {
            Ok(layer) => {
                for (key, wanted, became) in mapping.rounded() {
                    note(&format!("{}: {key}", named(layer.kind)), wanted, became, problems);
                }
                let pushed = graph.push_reading(&named(layer.kind), layer.kind, [input, other]);
                pushed.map(|()| layers.push(layer))
            }
            Err(misfit) => Err(match Name::new(&named(Conv2d::new(1, 1).into())) {
                Some(layer) => GraphError::Misfit { layer, shape, misfit },
                None => GraphError::BadName,
            }),
        };
        if let Err(error) = pushed {
            let (span, help) = explain(entry, &error);
            problems.error(span, error.to_string(), help);
            return None;
        }
    }
    if model.layers.is_empty() {
        problems.error(None, "the model has no layers", "write them under `model: layers:`");
        return None;
    }
    Some((graph, layers))
}

/// The place of a layer that another one reads.
fn read(name: &At<String>, graph: GraphView<'_>, problems: &mut Problems) -> Option<u8> {
    let place = graph.position(&name.value);
    if place.is_none() {
        let names: Vec<&str> = graph.layers().iter().map(|layer| layer.name.as_str()).collect();
        let message = format!("no layer above is called `{}`", name.value);
        problems.error(name.span(), message, remedy(&name.value, &names));
    }
    place
}

fn explain(entry: &At<LayerEntry>, error: &GraphError) -> (Option<std::ops::Range<usize>>, String) {
    let LayerEntry(mapping) = &entry.value;
    let [name, from] = mapping.keys().place();
    let named = name.and_then(At::span).or_else(|| entry.span());
    match error {
        GraphError::BadName => (named, "choose a shorter or plainer name".into()),
        GraphError::NameTaken { .. } => (named, "give each layer a name of its own".into()),
        GraphError::Full { .. } => {
            (entry.span(), format!("networks of up to {MAX_LAYERS} layers are compiled"))
        }
        GraphError::BadInput { .. } => {
            let other = mapping.keys().other().or(from).and_then(At::span);
            (
                other.or_else(|| entry.span()),
                "name a layer above, and not the same one twice".into(),
            )
        }
        // What does not fit says itself what would.
        _ => (entry.span(), String::new()),
    }
}

fn input(model: &Model, data: [usize; 3], problems: &mut Problems) -> Option<Shape> {
    let data_elements: usize = data.iter().product();
    let Some(input) = &model.input else {
        let dims = data.map(|dim| u16::try_from(dim).ok());
        let [Some(c), Some(h), Some(w)] = dims else {
            let message = format!("the samples are too large: {data:?}");
            problems.error(None, message, "every side of a sample has at most 65,535");
            return None;
        };
        return Some(Shape([c, h, w]));
    };
    let shape = match *input.value.as_slice() {
        [features] => Shape::vector(features),
        [height, width] => Shape([1, height, width]),
        [channels, height, width] => Shape([channels, height, width]),
        _ => {
            let message = format!("a shape of {} numbers", input.value.len());
            let help = "write `[features]`, `[height, width]` or `[channels, height, width]`";
            problems.error(input.span(), message, help);
            return None;
        }
    };
    if shape.elements() != data_elements {
        problems.error(
            input.span(),
            format!(
                "the input {shape} holds {} numbers, a sample {data_elements}",
                shape.elements()
            ),
            format!("the samples have the shape {data:?}; leave `input` out to take it over"),
        );
        return None;
    }
    Some(shape)
}
