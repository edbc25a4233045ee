//! Which vector kernels the tests could run here. A test that passes tells nobody what it left
//! out, so the stage does.

use crate::stage::Outcome;

/// The vector kernels that there are, by the names that they give themselves.
const KERNELS: [&str; 2] = ["AVX2", "AVX-512 VNNI"];

/// How a stage ends that compared every kernel of this machine with the scalar one.
pub(crate) fn outcome() -> Outcome {
    match without(&present()) {
        None => Outcome::Passed,
        Some(part) => Outcome::PassedWithout(part),
    }
}

fn without(present: &[String]) -> Option<String> {
    let absent: Vec<&str> =
        KERNELS.into_iter().filter(|&name| !present.iter().any(|there| there == name)).collect();
    (!absent.is_empty()).then(|| {
        format!("the kernels for {}: this machine has no such units", absent.join(" and "))
    })
}

#[cfg(target_arch = "x86_64")]
fn present() -> Vec<String> {
    fixgrad::kernel::X86::levels().map(|level| level.to_string()).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn present() -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(without(&KERNELS.map(String::from)), None);
        let text = without(&["AVX2".to_owned()]);
        assert_eq!(
            text.as_deref(),
            Some("the kernels for AVX-512 VNNI: this machine has no such units")
        );
    }

    #[test]
    fn the_kernels_of_this_machine_have_these_names() {
        assert!(present().iter().all(|name| KERNELS.contains(&name.as_str())), "{:?}", present());
    }
}
