//! Which vector kernels the tests could run here. A test that passes tells nobody what it left
//! out, so the stage does.

use crate::stage::Outcome;

/// A kernel, and whether this machine has its units.
type Kernel = (&'static str, bool);

/// How a stage ends that compared every kernel of this machine with the scalar one.
pub(crate) fn outcome() -> Outcome {
    match without(&kernels()) {
        None => Outcome::Passed,
        Some(part) => Outcome::PassedWithout(part),
    }
}

fn without(kernels: &[Kernel]) -> Option<String> {
    let absent: Vec<_> =
        kernels.iter().filter(|(_, present)| !present).map(|&(name, _)| name).collect();
    (!absent.is_empty()).then(|| {
        format!("the kernels for {}: this machine has no such units", absent.join(" and "))
    })
}

#[cfg(target_arch = "x86_64")]
fn kernels() -> [Kernel; 2] {
    // As the core detects them.
    let avx2 = std::is_x86_feature_detected!("avx2");
    let avx512 = avx2
        && std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("avx512vnni");
    [("AVX2", avx2), ("AVX-512 VNNI", avx512)]
}

#[cfg(not(target_arch = "x86_64"))]
fn kernels() -> [Kernel; 2] {
    [("AVX2", false), ("AVX-512 VNNI", false)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let text = without(&[("A", false), ("B", true), ("C", false)]);
        assert_eq!(
            text.as_deref(),
            Some("the kernels for A and C: this machine has no such units")
        );
        assert_eq!(without(&[("A", true)]), None);
    }
}
