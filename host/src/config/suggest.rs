//! "Did you mean": the nearest of the allowed words.

/// The candidate that `word` most likely stands for, if any is near.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = word.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&folded, &candidate.to_lowercase()), candidate)
        })
        .filter(|&(distance, candidate)| distance <= (candidate.len().max(folded.len())) / 3)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` or `c`.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The remedy for a word that is none of the allowed ones.
pub(crate) fn remedy(word: &str, allowed: &[&str]) -> String {
    match nearest(word, allowed.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Allowed: {}", list(allowed.iter().copied())),
        None => format!("allowed: {}", list(allowed.iter().copied())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_strangers_are_not() {
        let words = ["rnd", "rnd_conv", "stochastic"];
        for (typed, meant) in
            [("rnd_con", "rnd_conv"), ("RND-CONV", "rnd_conv"), ("stochasitc", "stochastic")]
        {
            assert_eq!(nearest(typed, words), Some(meant), "{typed}");
        }
        assert_eq!(nearest("floor", words), None);
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
