//! What does not fit is a build error with our sentence.
//!
//! The compiler's own words around a sentence change with every release, so these tests look for
//! the sentence and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use fixgrad::{graph::too_small, prelude::*};

/// Checks a crate that holds `body`; returns what the compiler says when it refuses.
fn refusal(name: &str, body: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ui").join(name);
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let core = root.join("core");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\
         [dependencies]\nfixgrad = {{ path = {core:?} }}\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    // The versions that the workspace has, so that nothing is fetched.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lockfile");
    let source = format!("use fixgrad::prelude::*;\n{body}\nfn main() {{}}\n");
    fs::write(folder.join("src/main.rs"), source).expect("a source");
    let output = Command::new(env!("CARGO"))
        // A constant that nothing uses is evaluated all the same; an error in one is found by a
        // build, not by a check.
        .args(["build", "--quiet", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.parent().expect("a folder").join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(text)
}

#[track_caller]
fn assert_refused(name: &str, body: &str, sentence: &str) {
    assert_says(&refusal(name, body).expect("a build error"), sentence);
}

#[track_caller]
fn assert_says(text: &str, sentence: &str) {
    // The compiler may break lines, never words.
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(sentence), "no \"{sentence}\" in\n{text}");
}

const NET: &str = "
    const NET: Graph<4> = Graph::input([1, 8, 8]).dense(\"fc1\", 32).relu().dense(\"fc2\", 10);
    const TRAIN: Train = Train::new(32, Lr::ratio(1, 2));
    const PLAN: Plan<4> = NET.plan(&TRAIN, &LayerConfig::tiny());
";

#[test]
fn what_fits_is_built() {
    let body = format!("{NET} pub static ARENA: Arena<{{ PLAN.ram() }}> = Arena::for_plan(&PLAN);");
    assert_eq!(refusal("ui-fits", &body), None);
}

#[test]
fn a_shape_that_is_not_the_expected_one() {
    assert_refused(
        "ui-shape",
        "pub const NET: Graph<3> = Graph::input([1, 8, 8]).dense(\"fc1\", 10).expect([12, 1, 1]);",
        "layer fc1: its output is [10] and the next part expects [12]",
    );
}

#[test]
fn a_layer_too_many() {
    assert_refused(
        "ui-full",
        "pub const NET: Graph<2> = Graph::input([1, 8, 8]).dense(\"fc1\", 10).dense(\"fc2\", 10);",
        "layer fc2: the graph holds 2 layers, the input counted; make it Graph<3> or more",
    );
}

#[test]
fn a_name_twice() {
    assert_refused(
        "ui-name",
        "pub const NET: Graph<3> = Graph::input([1, 8, 8]).dense(\"fc\", 10).dense(\"fc\", 10);",
        "layer fc: another layer has this name",
    );
}

#[test]
fn windows_and_groups_that_do_not_fit() {
    // All of them in one build, which stops at each.
    let nets = [
        ("A", "[1, 4, 4]", "conv2d(\"conv1\", Conv2d::new(6, 5))"),
        ("B", "[3, 9, 9]", "max_pool(2)"),
        ("C", "[3, 4, 4]", "conv2d(\"conv1\", Conv2d::new(6, 3).groups(2))"),
        ("D", "[4, 4, 4]", "conv2d(\"conv1\", Conv2d::new(6, 3).groups(4))"),
        (
            "E",
            "[1, 4, 4]",
            "conv2d(\"conv1\", Conv2d::new(6, 3).padding(Padding::Explicit([3, 0])))",
        ),
        ("F", "[1, 4, 4]", "conv2d(\"conv1\", Conv2d::new(6, 3).stride(0))"),
        ("G", "[1, 32, 32]", "max_pool(16)"),
        ("H", "[1, 4, 4]", "conv1d(\"conv1\", Conv2d::along(6, 3))"),
        ("I", "[8, 1, 1]", "lstm(\"lstm1\", Lstm::new(4))"),
        ("J", "[1, 4, 4]", "max_pool(2).add(\"data\")"),
        ("K", "[1, 4, 4]", "max_pool(2).concat(\"data\")"),
        (
            "L",
            "[60000, 1, 1]",
            "depthwise_conv2d(\"conv1\", DepthwiseConv2d::new(1).multiplier(2))",
        ),
    ];
    let body: String = nets
        .iter()
        .map(|(name, input, layer)| {
            format!("pub const {name}: Graph<3> = Graph::input({input}).{layer};\n")
        })
        .collect();
    let text = refusal("ui-windows", &body).expect("a build error");
    for sentence in [
        "layer conv1: an input of [1, 4, 4] has no window of 5 x 5 pixels; make the kernel smaller \
         or the padding larger",
        "layer max_pool2d1: an input of [3, 9, 9] loses its last 1 x 1 rows and columns to a stride \
         of 2 x 2; pad it, or change kernel or stride",
        "layer conv1: an input of [3, 4, 4]: 2 groups do not divide 3 channels; choose groups that \
         divide those that come in and those that go out",
        "layer conv1: an input of [4, 4, 4]: 4 groups do not divide 6 channels; choose groups",
        "layer conv1: an input of [1, 4, 4] with a padding of 3 x 0 pixels has windows that see \
         nothing; pad by less than the kernel",
        "layer conv1: an input of [1, 4, 4]: sizes, strides, groups and outputs must be at least 1",
        "layer max_pool2d1: an input of [1, 32, 32] cannot have windows of 16 x 16 pixels, whose \
         largest is remembered by a byte; take 255 pixels at most",
        "layer conv1: an input of [1, 4, 4] has 4 rows and the kernel 1; a conv1d reads lines",
        "layer lstm1: an input of [8] is no sequence; an lstm reads lines",
        "layer add2: an input of [1, 2, 2] and one of [1, 4, 4] cannot be added; bring both to one \
         shape, by a convolution of 1 x 1 pixels perhaps",
        "layer concat2: an input of [1, 2, 2] and one of [1, 4, 4] have not the same pixels",
        "layer conv1: an input of [60,000] has more than 65,535 channels times 2; choose a smaller \
         multiplier",
    ] {
        assert_says(&text, sentence);
    }
}

#[test]
fn an_arena_that_is_too_small() {
    let net: Graph<4> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);
    let plan = net.plan(&Train::new(32, Lr::ratio(1, 2)), &LayerConfig::tiny());
    let body = format!("{NET} pub static ARENA: Arena<1000> = Arena::for_plan(&PLAN);");
    assert_refused("ui-arena", &body, too_small(plan.ram(), 1000).as_str());
    assert!(too_small(7252, 1000).as_str().contains("7,252 bytes, the arena has 1,000: "));
}

#[test]
fn widths_and_sizes_that_leave_no_bit_or_no_memory() {
    let nets = [
        ("A", "[1, 255, 255]", "global_avg_pool().dense(\"fc\", 2)", "LayerConfig::new(16)"),
        (
            "B",
            "[1, 8, 8]",
            "dense(\"fc\", 2)",
            "LayerConfig { per_channel: true, ..LayerConfig::new(16) }",
        ),
        ("C", "[65535, 1, 1]", "dense(\"fc\", 65535)", "LayerConfig::new(8)"),
    ];
    let plans = nets.map(|(name, input, layers, settings)| {
        format!(
            "const {name}: Graph<3> = Graph::input({input}).{layers};\n\
             pub const PLAN_{name}: Plan<3> = {name}.plan(&Train::new(1, Lr::ZERO), &{settings});\n"
        )
    });
    let text = refusal("ui-plan", &plans.concat()).expect("a build error");
    for sentence in [
        "layer global_avg_p1: sums of 65,025 numbers leave no bit of 30 for the division by their \
         number; give its input or its gradient fewer bits",
        "layer fc: sums of 36 bits (at most 29) or gradients of 16 (at most 15) leave none for a \
         bound of every channel",
        "layer fc: the arena would exceed 2 GiB; take a smaller micro-batch",
    ] {
        assert_says(&text, sentence);
    }
}
