//! `progress`: what a function step tells while it works, bounded in number and length.

use stepmill_core::event::Progress as Told;
use stepmill_core::json;
use wasmtime::component::HasData;

use crate::call::CallState;
use crate::meter::Meter;
use crate::services::Listener;
use crate::wit::newest::stepmill::plugin::progress as wit;

pub(crate) struct Progress;

impl HasData for Progress {
    type Data<'a> = ProgressView<'a>;
}

pub(crate) struct ProgressView<'a> {
    meter: &'a mut Meter,
    listener: Option<&'a Listener>,
}

impl ProgressView<'_> {
    pub(crate) fn of(state: &mut CallState) -> ProgressView<'_> {
        ProgressView { meter: &mut state.meter, listener: state.site.listener.as_ref() }
    }
}

impl wit::Host for ProgressView<'_> {
    /// What nobody hears is measured all the same: a plugin that works in silence works aloud.
    fn tell(
        &mut self,
        content: Option<String>,
        data: Option<String>,
    ) -> wasmtime::Result<Result<(), wit::ProgressError>> {
        self.meter.host_call()?;
        if content.is_none() && data.is_none() {
            return Ok(Err(wit::ProgressError::Invalid));
        }
        let bytes = [&content, &data].into_iter().flatten().map(String::len).sum();
        if !self.meter.progress(bytes) {
            return Ok(Err(wit::ProgressError::TooMuch));
        }
        let Ok(data) = data.as_deref().map(json::object).transpose() else {
            return Ok(Err(wit::ProgressError::Invalid));
        };
        if let Some(listener) = self.listener {
            // Who listened may have gone: the function works on.
            let _ = listener.send(Told { content, data });
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::mpsc::unbounded_channel;
    use wit::{Host, ProgressError};

    use super::super::testing::state;
    use super::*;
    use crate::settings::CallLimits;

    fn tell(state: &mut CallState, content: &str, data: &str) -> &'static str {
        let some = |text: &str| Some(text.to_owned()).filter(|it| !it.is_empty());
        match ProgressView::of(state).tell(some(content), some(data)).unwrap() {
            Ok(()) => "told",
            Err(ProgressError::Invalid) => "invalid",
            Err(ProgressError::TooMuch) => "too much",
        }
    }

    #[test]
    fn what_is_told_is_heard() {
        let (mut state, _) = state(&[], CallLimits::default());
        assert_eq!(tell(&mut state, "nobody hears", ""), "told");
        let (listener, mut heard) = unbounded_channel();
        state.site.listener = Some(listener);
        assert_eq!(tell(&mut state, "half", r#"{"n":1}"#), "told");
        let told = heard.try_recv().unwrap();
        assert_eq!(told.content.as_deref(), Some("half"));
        assert_eq!(told.data, json!({ "n": 1 }).as_object().cloned());
        drop(heard);
        assert_eq!(tell(&mut state, "nobody is left", ""), "told");
    }

    #[test]
    fn what_is_told_is_bounded_and_well_formed() {
        let limits =
            CallLimits { progress_messages: 3, progress_bytes: 10, ..CallLimits::default() };
        let (mut state, _) = state(&[], limits);
        assert_eq!(tell(&mut state, "", ""), "invalid");
        assert_eq!(tell(&mut state, "", "[1]"), "invalid");
        assert_eq!(tell(&mut state, "1234567", ""), "told");
        assert_eq!(tell(&mut state, "x", ""), "too much");
        let (mut state, _) = super::super::testing::state(&[], limits);
        for _ in 0..3 {
            assert_eq!(tell(&mut state, "x", ""), "told");
        }
        assert_eq!(tell(&mut state, "x", ""), "too much");
    }
}
