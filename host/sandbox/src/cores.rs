//! One core is left to the host: what computes for long stays on the others.
//!
//! The kernel does a part of the host's work in threads of its own, disks above all. With no core
//! free of the greedy, these waited for up to a second, whatever the priority of the greedy was, and
//! with them every commit.

use std::num::NonZero;
use std::thread::available_parallelism;

/// How many cores the greedy may use.
pub(crate) fn greedy() -> usize {
    let cores = available_parallelism().map_or(1, NonZero::get);
    1.max(cores - 1)
}

/// Keeps this thread, and what it starts, off the core that is left to the host. Where there is no
/// other core, or the system does not let it, it may use all.
pub(crate) fn leave_one() {
    #[cfg(target_os = "linux")]
    let _ = linux::leave_one();
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::io::Result;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub(super) fn leave_one() -> Result<()> {
        let mut cores = sched_getaffinity(None)?;
        let first = (0..CpuSet::MAX_CPU).find(|it| cores.is_set(*it));
        match first {
            Some(first) if 1 < cores.count() => {
                cores.unset(first);
                sched_setaffinity(None, &cores)
            }
            _ => Ok(()),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn all_cores_but_one_are_left_to_a_thread_and_never_none() {
            std::thread::spawn(|| {
                let mut left = sched_getaffinity(None).unwrap().count();
                for _ in 0..3 {
                    leave_one().unwrap();
                    left = 1.max(left - 1);
                    assert_eq!(sched_getaffinity(None).unwrap().count(), left);
                }
            })
            .join()
            .unwrap();
        }
    }
}
