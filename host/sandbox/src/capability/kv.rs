//! `kv`: the plugin's own small values in its tenant.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::HasData;

use crate::call::CallState;
use crate::meter::Meter;
use crate::services::{KeyValueFault, KeyValues};
use crate::wit::newest::stepmill::plugin::kv as wit;
use crate::wit::newest::stepmill::plugin::kv::KvError;

pub(crate) struct KeyValue;

impl HasData for KeyValue {
    type Data<'a> = KeyValueView<'a>;
}

pub(crate) struct KeyValueView<'a> {
    meter: &'a mut Meter,
    key_values: Option<&'a Arc<dyn KeyValues>>,
}

impl KeyValueView<'_> {
    pub(crate) fn of(state: &mut CallState) -> KeyValueView<'_> {
        let key_values = state.site.key_values.as_ref();
        KeyValueView { meter: &mut state.meter, key_values }
    }
}

impl KeyValueView<'_> {
    /// Counts the call, and gives what it goes on with.
    fn admit(
        &mut self,
        key: &str,
        value_bytes: usize,
    ) -> wasmtime::Result<Result<Arc<dyn KeyValues>, KvError>> {
        self.meter.host_call()?;
        let Some(key_values) = self.key_values else { return Ok(Err(KvError::NotGranted)) };
        let limits = &self.meter.limits;
        for (found, limit) in
            [(key.len(), limits.kv_key_bytes), (value_bytes, limits.kv_value_bytes)]
        {
            if limit < found {
                return Ok(Err(KvError::TooLarge(u32::try_from(limit).unwrap_or(u32::MAX))));
            }
        }
        Ok(Ok(key_values.clone()))
    }

    async fn answer<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T, KeyValueFault>> + Send + 'static,
    ) -> wasmtime::Result<Result<T, KvError>> {
        let began = Instant::now();
        let answer = self.meter.pace.at_home(work).await.unwrap_or(Err(KeyValueFault::Down));
        self.meter.note_wait(began.elapsed());
        Ok(answer.map_err(|fault| match fault {
            KeyValueFault::Down => KvError::Unavailable,
            KeyValueFault::Full => KvError::TooLarge(0),
        }))
    }
}

impl wit::Host for KeyValueView<'_> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, KvError>> {
        match self.admit(&key, 0)? {
            Ok(it) => self.answer(async move { it.kv_get(&key).await }).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), KvError>> {
        match self.admit(&key, value.len())? {
            Ok(it) => self.answer(async move { it.kv_set(&key, value).await }).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), KvError>> {
        match self.admit(&key, 0)? {
            Ok(it) => self.answer(async move { it.kv_delete(&key).await }).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepmill_core::capability::Capability;
    use wit::Host;

    use super::super::testing::state;
    use super::*;
    use crate::settings::CallLimits;

    #[tokio::test]
    async fn values_go_to_the_host_if_it_was_granted() {
        let (mut state, services) = state(&[Capability::KeyValue], CallLimits::default());
        let mut kv = KeyValueView::of(&mut state);
        assert_eq!(kv.get("a".to_owned()).await.unwrap().unwrap().unwrap(), b"value");
        kv.set("a".to_owned(), vec![1, 2]).await.unwrap().unwrap();
        kv.delete("a".to_owned()).await.unwrap().unwrap();
        let down = kv.get("down".to_owned()).await.unwrap();
        assert!(matches!(down, Err(KvError::Unavailable)));
        let full = kv.set("full".to_owned(), vec![1]).await.unwrap();
        assert!(matches!(full, Err(KvError::TooLarge(0))));
        assert_eq!(
            *services.0.lock().unwrap(),
            ["get a", "set a 2", "delete a", "get down", "set full 1"]
        );
    }

    #[tokio::test]
    async fn nothing_goes_to_the_host_if_it_was_not_granted() {
        let (mut state, services) = state(&[Capability::Config], CallLimits::default());
        let mut kv = KeyValueView::of(&mut state);
        let refused = kv.set("a".to_owned(), vec![1]).await.unwrap();
        assert!(matches!(refused, Err(KvError::NotGranted)));
        assert!(services.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn keys_and_values_have_their_limits() {
        let limits = CallLimits { kv_key_bytes: 3, kv_value_bytes: 2, ..CallLimits::default() };
        let (mut state, services) = state(&[Capability::KeyValue], limits);
        let mut kv = KeyValueView::of(&mut state);
        let key = kv.get("four".to_owned()).await.unwrap();
        assert!(matches!(key, Err(KvError::TooLarge(3))));
        let value = kv.set("a".to_owned(), vec![1, 2, 3]).await.unwrap();
        assert!(matches!(value, Err(KvError::TooLarge(2))));
        assert!(services.0.lock().unwrap().is_empty());
    }
}
