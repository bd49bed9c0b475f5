//! The proof that a statement is for a tenant.
//!
//! A guest's statement can set any setting that the host can, so a setting alone says nothing. The
//! database believes the host because of a proof that only they can make: a digest over a key that
//! they share, the tenant, and this very transaction. What a guest reads of it is worth nothing in
//! any other transaction, and for any other tenant.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use stepmill_core::database::Value;
use stepmill_core::ids::TenantId;

use super::session::{Session, Trouble};
use crate::opening::OpenFault;
use crate::settings::Caps;

/// What no other transaction has in common with this one: its process and its beginning. The
/// function `stepmill.tenant` takes the same, in the same words.
const MOMENT: &str =
    "select concat_ws(' ', pg_backend_pid(), extract(epoch from transaction_timestamp()))";

/// Said in the same breath as the guest's statement, before it.
pub(super) const ENTER: &str = "select set_config('stepmill.tenant', $1, true), \
                                set_config('stepmill.proof', $2, true)";

pub(super) struct TenantKey(SecretString);

impl TenantKey {
    pub(super) fn of(text: SecretString) -> Result<Self, OpenFault> {
        let digits = text.expose_secret();
        let is_key = digits.len() == 64 && digits.bytes().all(|it| it.is_ascii_hexdigit());
        if !is_key {
            let rule = "has to be 64 hexadecimal digits: `openssl rand -hex 32` makes some";
            return Err(OpenFault::setting("tenant_key", rule));
        }
        Ok(Self(text))
    }

    /// The parameters of [`ENTER`] in the transaction that has begun.
    pub(super) async fn enter(
        &self,
        session: &mut Session,
        tenant: &TenantId,
    ) -> Result<[Value; 2], Trouble> {
        let moment = session.read(MOMENT).await?;
        let Some([Value::Text(moment)]) = moment.first().map(Vec::as_slice) else {
            return Err(super::line::unexpected().into());
        };
        let proof = self.proof(&format!("{moment} {tenant}"));
        Ok([Value::Text(tenant.to_string()), Value::Text(proof)])
    }

    /// A digest of a digest: what is digested with the key always has the same length, so nobody
    /// can append to it.
    fn proof(&self, text: &str) -> String {
        let digits = self.0.expose_secret().as_bytes();
        let digit = |it: &u8| char::from(*it).to_digit(16).unwrap_or(0) as u8;
        let key: Vec<u8> = digits
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[high, low]| digit(high) << 4 | digit(low))
            .collect();
        let digest = Sha256::new().chain_update(key).chain_update(Sha256::digest(text)).finalize();
        digest.iter().fold(String::new(), |it, byte| format!("{it}{byte:02x}"))
    }

    /// Whether the database takes this host's proof, and only a proof.
    pub(super) async fn try_out(
        &self,
        session: &mut Session,
        caps: &Caps,
    ) -> Result<bool, Trouble> {
        let tenant = TenantId::new("stepmill-at-opening").expect("the constant is a tenant id");
        session.say(&["begin read only"]).await?;
        let proven = self.enter(session, &tenant).await?;
        let asked = "select stepmill.tenant()";
        let believed = session.ask(Some((ENTER, &proven)), asked, &[], caps).await;
        let made_up = [proven[0].clone(), Value::Text("0".repeat(64))];
        let fooled = session.ask(Some((ENTER, &made_up)), asked, &[], caps).await;
        session.say(&["rollback"]).await?;
        let said = |answer: Result<stepmill_core::database::Answer, Trouble>| match answer {
            Ok(answer) => Ok(answer.rows.into_iter().flatten().next()),
            Err(Trouble::Broken(it)) => Err(Trouble::Broken(it)),
            Err(Trouble::Refused(_) | Trouble::Guest(_)) => Ok(None),
        };
        Ok(said(believed)? == Some(proven[0].clone()) && said(fooled)? == Some(Value::Null))
    }
}
