//! What one call has used so far, and where it stops.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::lane::Pace;
use crate::settings::CallLimits;

/// A limit that a guest ran into. Travels through the engine as an error and comes out typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overrun {
    #[error("CPU time is used up")]
    Cpu,
    #[error("memory is used up")]
    Memory,
    #[error("table space is used up")]
    Tables,
    #[error("host calls are used up")]
    HostCalls,
}

/// Counts for one store. All of a store's memories share one budget, and so do its tables.
pub(crate) struct Meter {
    pub(crate) limits: CallLimits,
    pub(crate) pace: Arc<Pace>,
    ticks_left: u64,
    /// The guest waited for the host since the last tick.
    waited: bool,
    memory_bytes: usize,
    table_elements: usize,
    /// The growth that was allowed last, to be taken back if the engine cannot do it.
    last_growth: usize,
    host_calls_left: u64,
    log_lines_left: u64,
    progress_messages_left: u64,
    progress_bytes_left: usize,
    database_statements_left: u64,
}

impl Meter {
    pub(crate) fn new(limits: &CallLimits) -> Self {
        Self {
            limits: *limits,
            pace: Arc::new(Pace::new(Duration::from_millis(limits.quick_ms))),
            ticks_left: limits.cpu_ms / limits.tick_ms.max(1),
            waited: false,
            memory_bytes: 0,
            table_elements: 0,
            last_growth: 0,
            host_calls_left: limits.host_calls,
            log_lines_left: limits.log_lines,
            progress_messages_left: limits.progress_messages,
            progress_bytes_left: limits.progress_bytes,
            database_statements_left: limits.database_statements,
        }
    }

    /// A tick went by and the guest computes. It lets others run and goes on, while it may.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        if std::mem::take(&mut self.waited) {
            return Ok(UpdateDeadline::Yield(1));
        }
        self.ticks_left = self.ticks_left.checked_sub(1).ok_or(Overrun::Cpu)?;
        Ok(UpdateDeadline::Yield(1))
    }

    /// The guest waited this long for the host: the tick that went by was not its own. Shorter
    /// waits count, so that a guest cannot hide its computing behind many of them.
    pub(crate) fn note_wait(&mut self, wait: Duration) {
        self.waited |= Duration::from_millis(self.limits.tick_ms) <= wait;
    }

    /// Must stand first in every function that a guest can call.
    pub(crate) fn host_call(&mut self) -> Result<(), Overrun> {
        self.host_calls_left = self.host_calls_left.checked_sub(1).ok_or(Overrun::HostCalls)?;
        Ok(())
    }

    pub(crate) fn database_statement(&mut self) -> Result<(), Overrun> {
        self.database_statements_left =
            self.database_statements_left.checked_sub(1).ok_or(Overrun::HostCalls)?;
        Ok(())
    }

    /// Whether the guest may tell another message of so many bytes.
    pub(crate) fn progress(&mut self, bytes: usize) -> bool {
        let left = (
            self.progress_messages_left.checked_sub(1),
            self.progress_bytes_left.checked_sub(bytes),
        );
        let (Some(messages), Some(bytes)) = left else { return false };
        (self.progress_messages_left, self.progress_bytes_left) = (messages, bytes);
        true
    }

    pub(crate) fn log_line(&mut self) -> LogLine {
        match self.log_lines_left {
            0 => return LogLine::Dropped,
            1 => self.log_lines_left = 0,
            _ => {
                self.log_lines_left -= 1;
                return LogLine::Written;
            }
        }
        LogLine::Last
    }
}

/// What happens to a guest's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLine {
    /// It is written.
    Written,
    /// It is written, and no line after it.
    Last,
    /// It is dropped.
    Dropped,
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.last_growth = desired.saturating_sub(current);
        let total = self.memory_bytes.saturating_add(self.last_growth);
        if self.limits.memory_bytes < total {
            return Err(Overrun::Memory.into());
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.last_growth);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.last_growth = desired.saturating_sub(current);
        let total = self.table_elements.saturating_add(self.last_growth);
        if self.limits.table_elements < total {
            return Err(Overrun::Tables.into());
        }
        self.table_elements = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements -= std::mem::take(&mut self.last_growth);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrun(answer: wasmtime::Result<bool>) -> Option<Overrun> {
        answer.err().and_then(|it| it.downcast_ref().copied())
    }

    #[test]
    fn memories_share_one_budget() {
        let limits = CallLimits { memory_bytes: 100, ..CallLimits::default() };
        let mut meter = Meter::new(&limits);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 40, None).unwrap());
        assert_eq!(overrun(meter.memory_growing(40, 41, None)), Some(Overrun::Memory));
    }

    #[test]
    fn growth_that_the_engine_could_not_do_is_given_back() {
        let limits = CallLimits { table_elements: 100, ..CallLimits::default() };
        let mut meter = Meter::new(&limits);
        assert!(meter.table_growing(0, 100, Some(50)).unwrap());
        meter.table_grow_failed(wasmtime::Error::msg("over its own maximum")).unwrap();
        assert!(meter.table_growing(0, 100, None).unwrap());
        assert_eq!(overrun(meter.table_growing(100, 101, None)), Some(Overrun::Tables));
    }

    #[test]
    fn ticks_of_waiting_are_not_the_guests() {
        let limits = CallLimits { cpu_ms: 1, tick_ms: 1, ..CallLimits::default() };
        let mut meter = Meter::new(&limits);
        meter.note_wait(Duration::from_millis(1));
        assert!(meter.tick().is_ok());
        meter.note_wait(Duration::from_micros(999));
        assert!(meter.tick().is_ok());
        assert!(meter.tick().is_err());
    }
}
