//! What the other threads of a pool do while one works alone.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon_core::Yield;

/// Runs `work`. The other threads of this thread's pool, if it belongs to one, do what it has to
/// share, and call `spare` while there is nothing; `spare` says whether it did something.
pub fn meanwhile<R: Send>(
    spare: &(impl Fn() -> bool + Sync),
    work: impl FnOnce() -> R + Send,
) -> R {
    let Some(own) = rayon_core::current_thread_index() else { return work() };
    let done = Flag::default();
    rayon_core::scope(|scope| {
        let done = &done;
        scope.spawn_broadcast(move |_, context| {
            if context.index() != own {
                done.stand_by(spare);
            }
        });
        let _raised_when_dropped = Raise(done);
        work()
    })
}

/// Says that there is no more work.
#[derive(Default)]
struct Flag(AtomicBool);

impl Flag {
    /// Searches without work before the processor is offered to other programs.
    const PATIENCE: u32 = 1 << 10;

    /// Does what other threads of the pool have to give, else `spare`, until the flag is up.
    fn stand_by(&self, spare: &impl Fn() -> bool) {
        let mut idle = 0;
        while !self.0.load(Ordering::Acquire) {
            match rayon_core::yield_now() {
                Some(Yield::Executed) => idle = 0,
                _ if spare() => idle = 0,
                _ if idle < Self::PATIENCE => {
                    idle += 1;
                    std::hint::spin_loop();
                }
                _ => std::thread::yield_now(),
            }
        }
    }
}

/// Raises the flag at the end of a scope, also when the scope panics.
struct Raise<'a>(&'a Flag);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}
