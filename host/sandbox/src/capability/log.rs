//! `log`: lines for the operator, bounded in length and number.

use stepmill_core::limits::Admit;
use tracing::{Level, event};
use wasmtime::component::HasData;

use crate::call::CallState;
use crate::meter::{LogLine, Meter};
use crate::services::Lines;
use crate::text::log_line;
use crate::wit::newest::stepmill::plugin::log as wit;

pub(crate) struct Log;

impl HasData for Log {
    type Data<'a> = LogView<'a>;
}

pub(crate) struct LogView<'a> {
    meter: &'a mut Meter,
    label: &'a str,
    lines: Option<&'a dyn Lines>,
}

impl LogView<'_> {
    pub(crate) fn of(state: &mut CallState) -> LogView<'_> {
        let lines = state.site.lines.as_deref();
        LogView { meter: &mut state.meter, label: &state.site.label, lines }
    }
}

impl wit::Host for LogView<'_> {
    fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.meter.host_call()?;
        let fate = match self.meter.log_line() {
            LogLine::Dropped => return Ok(()),
            fate => match self.lines.map_or(Admit::Now, Lines::log_line) {
                Admit::Now => fate,
                Admit::Last => LogLine::Last,
                Admit::Later { .. } => return Ok(()),
            },
        };
        let (plugin, line) = (self.label, log_line(&message, self.meter.limits.log_line_bytes));
        match level {
            wit::Level::Trace => event!(Level::TRACE, plugin, "plugin {plugin} says: {line}"),
            wit::Level::Debug => event!(Level::DEBUG, plugin, "plugin {plugin} says: {line}"),
            wit::Level::Info => event!(Level::INFO, plugin, "plugin {plugin} says: {line}"),
            wit::Level::Warn => event!(Level::WARN, plugin, "plugin {plugin} says: {line}"),
            wit::Level::Error => event!(Level::ERROR, plugin, "plugin {plugin} says: {line}"),
        }
        if fate == LogLine::Last {
            event!(Level::WARN, plugin, "plugin {plugin} says too much; the rest is dropped");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wit::Host;

    use super::super::testing::state;
    use super::*;
    use crate::meter::Overrun;
    use crate::settings::CallLimits;

    #[test]
    fn lines_over_the_number_are_dropped_and_calls_over_the_number_trap() {
        let limits = CallLimits { log_lines: 2, host_calls: 3, ..CallLimits::default() };
        let (mut state, _) = state(&[], limits);
        state.site.lines = None;
        for _ in 0..3 {
            LogView::of(&mut state).write(wit::Level::Info, "hello".to_owned()).unwrap();
        }
        assert_eq!(state.meter.log_line(), LogLine::Dropped);
        let error = LogView::of(&mut state).write(wit::Level::Info, "hello".to_owned());
        assert_eq!(error.unwrap_err().downcast_ref(), Some(&Overrun::HostCalls));
    }

    #[test]
    fn what_the_tenants_rate_does_not_let_through_is_dropped_in_silence() {
        let (mut state, services) = state(&[], CallLimits::default());
        for _ in 0..3 {
            LogView::of(&mut state).write(wit::Level::Info, "hello".to_owned()).unwrap();
        }
        assert_eq!(*services.0.lock().unwrap(), ["line", "line", "line"]);
    }
}
