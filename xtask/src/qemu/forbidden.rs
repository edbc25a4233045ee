//! Names of functions that a linked training step must not hold.

/// Whether compilers call this function to compute with floats where the chip cannot.
pub(super) fn is_soft_float(name: &str) -> bool {
    if let Some(rest) = name.strip_prefix("__aeabi_") {
        // Arm's names: `fadd`, `dcmplt`, `ui2f`, `l2d`. Those of integers start with other letters.
        let converts = rest.ends_with("2f") || rest.ends_with("2d") || rest.ends_with("2h");
        return converts
            || rest.starts_with(['f', 'd'])
            || rest.starts_with("cf")
            || rest.starts_with("cd");
    }
    // Everybody else's: `__addsf3`, `__fixunsdfsi`, `__floatsisf`.
    const OPERATIONS: [&str; 20] = [
        "add", "sub", "mul", "div", "neg", "cmp", "eq", "ne", "lt", "le", "gt", "ge", "unord",
        "fix", "fixuns", "float", "floatun", "extend", "trunc", "powi",
    ];
    name.strip_prefix("__").is_some_and(|rest| {
        OPERATIONS.iter().filter_map(|operation| rest.strip_prefix(operation)).any(|types| {
            types.len() <= 6 && ["hf", "sf", "df", "tf"].iter().any(|float| types.contains(float))
        })
    })
}

/// Whether this function gives out or takes back memory of a heap.
pub(super) fn is_allocator(name: &str) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    matches!(last, "malloc" | "calloc" | "realloc" | "free" | "_sbrk")
        || ["__rust_alloc", "__rust_dealloc", "__rust_realloc", "__rg_", "__rdl_"]
            .iter()
            .any(|prefix| last.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_floats_are_told_from_those_of_integers() {
        let floats = [
            "__aeabi_fadd",
            "__aeabi_dcmplt",
            "__aeabi_ui2f",
            "__aeabi_l2d",
            "__aeabi_cfcmpeq",
            "__addsf3",
            "__muldf3",
            "__fixunsdfsi",
            "__floatsisf",
            "__extendsfdf2",
            "__unordsf2",
        ];
        for name in floats {
            assert!(is_soft_float(name), "{name}");
        }
        let integers = [
            "__aeabi_idiv",
            "__aeabi_uldivmod",
            "__aeabi_lmul",
            "__aeabi_memcpy",
            "__aeabi_llsl",
            "__muldi3",
            "__udivmodsi4",
            "__ashldi3",
            "__clzsi2",
            "__sdata",
            "__divdi3",
            "main",
        ];
        for name in integers {
            assert!(!is_soft_float(name), "{name}");
        }
    }

    #[test]
    fn allocators_are_found_by_name() {
        assert!(is_allocator("__rustc::__rust_alloc"));
        assert!(is_allocator("malloc"));
        assert!(!is_allocator("fixgrad::graph::free_rows"));
    }
}
