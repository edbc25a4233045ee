//! Several jobs at once.

use std::iter;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use xshell::Shell;

/// Does all jobs, as many at once as this machine has cores; what came of them, in their order.
pub(crate) fn each<T: Sync, R: Send>(
    shell: &Shell,
    jobs: &[T],
    work: impl Fn(&Shell, &T) -> R + Sync,
) -> Vec<R> {
    let (next, (sender, receiver)) = (AtomicUsize::new(0), mpsc::channel());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            // Every thread has a working directory of its own.
            let (shell, sender, next, work) = (shell.clone(), sender.clone(), &next, &work);
            scope.spawn(move || {
                let take = || next.fetch_add(1, Ordering::Relaxed);
                let mine = iter::repeat_with(take).map_while(|at| Some((at, jobs.get(at)?)));
                for (at, job) in mine {
                    // Nobody hangs up before the end.
                    let _ = sender.send((at, work(&shell, job)));
                }
            });
        }
    });
    drop(sender);
    let mut done: Vec<_> = receiver.iter().collect();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_told_in_its_place() {
        let (shell, jobs) = (Shell::new().expect("a shell"), Vec::from_iter(0..40));
        let count = AtomicUsize::new(0);
        let doubled = each(&shell, &jobs, |_, job| {
            count.fetch_add(1, Ordering::Relaxed);
            // The first ones end last, where there is more than one core.
            thread::sleep(std::time::Duration::from_millis(20 * u64::from(*job < 2)));
            2 * job
        });
        assert_eq!(doubled, Vec::from_iter((0..40).map(|job| 2 * job)));
        assert_eq!(count.into_inner(), jobs.len());
    }
}
