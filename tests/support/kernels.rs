//! The kernels that this machine can run.

use fixgrad::kernel::{Blocked, Kernel, Scalar};

/// A kernel and the name that a failing test prints.
pub type Named = (String, Box<dyn Kernel>);

/// All of them, the definition first, then what is portable. Units that this machine lacks are left
/// out; `cargo xtask test` names them.
pub fn all() -> Vec<Named> {
    let mut kernels: Vec<Named> =
        vec![("scalar".to_owned(), Box::new(Scalar)), ("portable".to_owned(), Box::new(Blocked))];
    #[cfg(target_arch = "x86_64")]
    for kernel in fixgrad::kernel::X86::levels() {
        kernels.push((kernel.to_string(), Box::new(kernel)));
    }
    for threads in [1, 2, 3] {
        let kernel = fixgrad_host::kernel::best(threads).expect("threads");
        kernels.push((format!("{} on {threads} threads", kernel.inner()), Box::new(kernel)));
    }
    kernels
}
