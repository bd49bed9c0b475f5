//! Recorded tokens, signed anew: what was valid is valid today, what was not is not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto, get_current_timestamp};
use serde_json::Value;

/// The secret of the recorded server.
const SECRET: &[u8] = b"golden-secret-0123456789-0123456789-0123456789";

/// How long most recorded tokens were valid.
const HOUR: i64 = 3600;

/// When what is played was recorded, as far as the tokens tell.
#[derive(Default)]
pub(super) struct Clock {
    recorded_at: Option<i64>,
    /// How much later the last run was accepted here than there.
    later: Option<i64>,
}

impl Clock {
    /// Takes note of a request's tokens: most were made when they were used, for an hour.
    pub(super) fn hear(&mut self, request: &Value) {
        let headers = request["headers"].as_object();
        let values = headers.into_iter().flat_map(|it| it.values()).filter_map(Value::as_str);
        for claims in values.flat_map(words).filter_map(|it| claims(&it)) {
            let Some(made) = claims["exp"].as_i64().map(|it| it - HOUR) else { continue };
            match self.recorded_at {
                Some(known) if made <= known || known + HOUR / 2 < made => {}
                _ => self.recorded_at = Some(made),
            }
        }
    }

    /// Takes note of when the two servers accepted a run.
    pub(super) fn meet(&mut self, recorded: &Value, ours: &Value) {
        let at = |it: &Value| it["body"]["created_at"].as_i64();
        self.later = at(ours).zip(at(recorded)).map(|(ours, it)| ours - it).or(self.later);
    }

    /// A time that a request asks for, moved to today if it is one of the recording's.
    pub(super) fn moved(&self, time: &str) -> String {
        match (time.parse::<i64>(), self.later) {
            (Ok(at), Some(later)) if 1_000_000_000 < at => (at + later).to_string(),
            _ => time.to_owned(),
        }
    }

    /// The text with its tokens moved to today.
    pub(super) fn renew(&self, text: &str) -> String {
        let renewed = words(text).into_iter().map(|word| {
            Token::read(&word).and_then(|it| it.renewed(self.recorded_at?)).unwrap_or(word)
        });
        renewed.collect()
    }
}

/// The text in words and what is between them.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let is_part = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    for letter in text.chars() {
        let goes_on = words
            .last()
            .and_then(|it| it.chars().last())
            .is_none_or(|it| is_part(it) == is_part(letter));
        match words.last_mut() {
            Some(last) if goes_on => last.push(letter),
            _ => words.push(letter.to_string()),
        }
    }
    words
}

/// What a token claims, whoever signed it.
fn claims(word: &str) -> Option<Value> {
    let body = word.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
}

/// A token whose signature is good.
struct Token {
    head: String,
    algorithm: Algorithm,
    claims: Value,
}

impl Token {
    fn read(word: &str) -> Option<Self> {
        let (message, signature) = word.rsplit_once('.')?;
        let (head, _) = message.split_once('.')?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
        let algorithm = header["alg"].as_str()?.parse().ok()?;
        let key = DecodingKey::from_secret(SECRET);
        let is_good = crypto::verify(signature, message.as_bytes(), &key, algorithm).ok()?;
        let claims = claims(word)?;
        (is_good && claims.is_object()).then(|| Self { head: head.to_owned(), algorithm, claims })
    }

    fn renewed(mut self, recorded_at: i64) -> Option<String> {
        let later = i64::try_from(get_current_timestamp()).ok()? - recorded_at;
        for name in ["exp", "iat", "nbf"] {
            let Some(value) = self.claims.get_mut(name) else { continue };
            if let Some(at) = value.as_i64() {
                *value = (at + later).into();
            } else if let Some(at) = value.as_f64() {
                #[expect(clippy::cast_precision_loss, reason = "seconds of this millennium")]
                let moved = at + later as f64;
                *value = moved.into();
            }
        }
        let message = format!("{}.{}", self.head, URL_SAFE_NO_PAD.encode(self.claims.to_string()));
        let key = EncodingKey::from_secret(SECRET);
        let signature = crypto::sign(message.as_bytes(), &key, self.algorithm).ok()?;
        Some(format!("{message}.{signature}"))
    }
}
