//! One session with a server: who we are, and statements with their answers.

use std::io;
use std::time::Instant;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorField, ErrorFields, Message};
use postgres_protocol::message::frontend;
use secrecy::ExposeSecret;
use stepmill_core::database::{Answer, DatabaseFailure, Value};

use super::line::{Broken, Line, unexpected};
use super::place::Place;
use super::value;
use crate::gathering::Gathering;
use crate::settings::Caps;

/// What the host's own questions and a server's words around an answer may take.
const OWN_BYTES: usize = 256 * 1024;

/// Rows of what the host itself asks for.
const OWN_ROWS: usize = 1_000;

/// How much larger the protocol's form of an answer is than the answer: bytes are written in two
/// digits each, and a cell has a length.
const WIRE_FACTOR: usize = 2;

pub(super) struct Session {
    line: Line,
    pub(super) since: Instant,
}

/// Why there is no answer. After `Refused` and `Guest` the session goes on.
#[derive(Debug)]
pub(super) enum Trouble {
    Refused(Refusal),
    Guest(DatabaseFailure),
    Broken(Broken),
}

/// The server's word. `message` may repeat values.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<io::Error> for Trouble {
    fn from(fault: io::Error) -> Self {
        Self::Broken(fault.into())
    }
}

impl Session {
    /// Connects and says who we are. The settings are what a session falls back to, whatever a
    /// statement changes.
    pub(super) async fn open(place: &Place, caps: &Caps) -> Result<Self, Trouble> {
        let line = Line::open(place).await?;
        let mut session = Self { line, since: Instant::now() };
        session.line.allow(OWN_BYTES);
        let limit = caps.statement.as_millis().to_string();
        let parameters = [
            ("user", place.user.as_str()),
            ("database", &place.database),
            ("application_name", "stepmill-guests"),
            ("client_encoding", "UTF8"),
            ("row_security", "on"),
            ("statement_timeout", &limit),
            ("lock_timeout", &limit),
            ("idle_in_transaction_session_timeout", &limit),
        ];
        frontend::startup_message(parameters, &mut session.line.output)?;
        session.line.send().await?;
        session.authenticate(place).await?;
        session.ready().await?;
        Ok(session)
    }

    async fn authenticate(&mut self, place: &Place) -> Result<(), Trouble> {
        let password = place.password.expose_secret().as_bytes();
        let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
        // A server that asked for a proof has to give one too.
        let mut is_proven = true;
        loop {
            let message = self.line.receive().await?;
            let output = &mut self.line.output;
            match message {
                Message::AuthenticationOk if is_proven => return Ok(()),
                Message::ErrorResponse(body) => {
                    return Err(Trouble::Refused(refusal(body.fields())?));
                }
                Message::AuthenticationSasl(_) => {
                    is_proven = false;
                    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), output)?;
                }
                Message::AuthenticationSaslContinue(body) => {
                    scram.update(body.data())?;
                    frontend::sasl_response(scram.message(), output)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    scram.finish(body.data())?;
                    is_proven = true;
                    continue;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(place.user.as_bytes(), password, body.salt());
                    frontend::password_message(hash.as_bytes(), output)?;
                }
                Message::AuthenticationCleartextPassword if self.line.is_private => {
                    frontend::password_message(password, output)?;
                }
                _ => return Err(unexpected().into()),
            }
            self.line.send().await?;
        }
    }

    /// Up to where the server waits for us. What it refused on the way is said then.
    async fn ready(&mut self) -> Result<(), Trouble> {
        let mut refused = None;
        loop {
            match self.line.receive().await? {
                Message::ErrorResponse(body) => {
                    refused.get_or_insert(refusal(body.fields())?);
                }
                Message::ReadyForQuery(_) => {
                    return refused.map_or(Ok(()), |it| Err(Trouble::Refused(it)));
                }
                _ => {}
            }
        }
    }

    /// The host's own words, which hold nothing of a guest. Each is a message, so that none is in
    /// a transaction with another; the first that is refused is told when all are done.
    pub(super) async fn say(&mut self, words: &[&str]) -> Result<(), Trouble> {
        self.line.allow(OWN_BYTES);
        for text in words {
            frontend::query(text, &mut self.line.output)?;
        }
        self.line.send().await?;
        let mut said = Ok(());
        for _ in words {
            match self.ready().await {
                Err(broken @ Trouble::Broken(_)) => return Err(broken),
                other => said = said.and(other),
            }
        }
        said
    }

    /// Rows of text that the host itself asks for.
    pub(super) async fn read(&mut self, text: &str) -> Result<Vec<Vec<Value>>, Trouble> {
        self.line.allow(OWN_BYTES);
        frontend::query(text, &mut self.line.output)?;
        self.line.send().await?;
        let mut gathering = Gathering::new(OWN_ROWS, OWN_BYTES);
        Ok(self.gather(&mut gathering, 1).await.map(|changed| gathering.done(changed))?.rows)
    }

    /// One statement, and before it in the same breath what the host says about it.
    ///
    /// The extended protocol takes one statement only. Values travel as text, without types: the
    /// server takes each for what its place asks for.
    pub(super) async fn ask(
        &mut self,
        before: Option<(&str, &[Value])>,
        text: &str,
        parameters: &[Value],
        caps: &Caps,
    ) -> Result<Answer, Trouble> {
        self.line.allow(OWN_BYTES.saturating_add(caps.bytes.saturating_mul(WIRE_FACTOR)));
        let rows = i32::try_from(caps.rows.saturating_add(1)).unwrap_or(i32::MAX);
        let output = &mut self.line.output;
        for (text, parameters) in before.into_iter().chain([(text, parameters)]) {
            frontend::parse("", text, [], output)?;
            bind(parameters, output)?;
            frontend::describe(b'P', "", output)?;
            frontend::execute("", rows, output)?;
        }
        frontend::sync(output);
        self.line.send().await?;
        let mut gathering = Gathering::new(caps.rows, caps.bytes);
        let skipped = usize::from(before.is_some());
        let changed = self.gather(&mut gathering, skipped + 1).await?;
        Ok(gathering.done(changed))
    }

    /// The answer of the last of several statements, up to where the server waits for us.
    async fn gather(
        &mut self,
        gathering: &mut Gathering,
        statements: usize,
    ) -> Result<u64, Trouble> {
        let (mut before, mut types, mut changed) = (statements - 1, Vec::new(), 0);
        let mut trouble = None;
        loop {
            let message = self.line.receive().await?;
            let is_ours = before == 0;
            match message {
                Message::ReadyForQuery(_) => return trouble.map_or(Ok(changed), Err),
                Message::ErrorResponse(body) => {
                    trouble = Some(Trouble::Refused(refusal(body.fields())?));
                }
                Message::CommandComplete(_) if !is_ours => before -= 1,
                Message::RowDescription(body) if is_ours => {
                    let (names, found) = value::columns(&body)?;
                    types = found;
                    note(&mut trouble, gathering.columns(names));
                }
                Message::DataRow(body) if is_ours && trouble.is_none() => {
                    match value::row(&body, &types)? {
                        Some(row) => note(&mut trouble, gathering.row(row)),
                        None => note(&mut trouble, Err(no_text())),
                    }
                }
                Message::CommandComplete(body) => changed = value::changed(body.tag()?),
                // The server would go on with more rows than may be.
                Message::PortalSuspended => note(&mut trouble, Err(DatabaseFailure::TooLarge)),
                Message::EmptyQueryResponse => {
                    let text = "there is no statement".to_owned();
                    note(&mut trouble, Err(DatabaseFailure::Invalid(text)));
                }
                // A copy waits for us, or sends what is no row.
                Message::CopyInResponse(_) | Message::CopyOutResponse(_) | Message::CopyData(_) => {
                    return Err(unexpected().into());
                }
                _ => {}
            }
        }
    }
}

fn no_text() -> DatabaseFailure {
    DatabaseFailure::Invalid("the answer has text that is not UTF-8".to_owned())
}

/// The first trouble counts; the rest of the answer is only read to its end.
fn note(trouble: &mut Option<Trouble>, outcome: Result<(), DatabaseFailure>) {
    if let (None, Err(failure)) = (&trouble, outcome) {
        *trouble = Some(Trouble::Guest(failure));
    }
}

fn bind(parameters: &[Value], output: &mut BytesMut) -> io::Result<()> {
    let write = |it: &Value, output: &mut BytesMut| match value::written(it) {
        Some(text) => {
            output.extend_from_slice(text.as_bytes());
            Ok(IsNull::No)
        }
        None => Ok(IsNull::Yes),
    };
    // Everything in the form of text, both ways.
    let bound = frontend::bind("", "", [], parameters, write, [0], output);
    bound.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

fn refusal(mut fields: ErrorFields<'_>) -> Result<Refusal, Broken> {
    let mut refusal = Refusal { code: String::new(), message: String::new() };
    let text = |it: &ErrorField<'_>| String::from_utf8_lossy(it.value_bytes()).into_owned();
    while let Some(field) = fields.next()? {
        match field.type_() {
            b'C' => refusal.code = text(&field),
            b'M' => refusal.message = text(&field),
            // Details and hints may be of rows that the guest cannot see.
            _ => {}
        }
    }
    Ok(refusal)
}
