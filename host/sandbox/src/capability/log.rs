//! `log`: lines for the operator, bounded in length and number.

use tracing::{Level, event};
use wasmtime::component::HasData;

use crate::call::CallState;
use crate::meter::{LogLine, Meter};
use crate::text::log_line;
use crate::wit::newest::stepmill::plugin::log as wit;

pub(crate) struct Log;

impl HasData for Log {
    type Data<'a> = LogView<'a>;
}

pub(crate) struct LogView<'a> {
    meter: &'a mut Meter,
    label: &'a str,
}

impl LogView<'_> {
    pub(crate) fn of(state: &mut CallState) -> LogView<'_> {
        LogView { meter: &mut state.meter, label: &state.site.label }
    }
}

impl wit::Host for LogView<'_> {
    fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.meter.host_call()?;
        let fate = self.meter.log_line();
        if fate == LogLine::Dropped {
            return Ok(());
        }
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
        for _ in 0..3 {
            LogView::of(&mut state).write(wit::Level::Info, "hello".to_owned()).unwrap();
        }
        assert_eq!(state.meter.log_line(), LogLine::Dropped);
        let error = LogView::of(&mut state).write(wit::Level::Info, "hello".to_owned());
        assert_eq!(error.unwrap_err().downcast_ref(), Some(&Overrun::HostCalls));
    }
}
