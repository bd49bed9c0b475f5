//! One connection: reads requests, and answers each as its scenario says.

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::connection::{Connection, Header, Request};
use crate::record::{Record, Recorded};
use crate::scenario::{Lie, Scenario};
use crate::wires::{Ask, Ending, Script, Telling};
use crate::{floods, lies};

/// What becomes of the connection after an answer.
enum After {
    Keep,
    Close,
}

/// Serves until the client hangs up or a scenario says so. Errors end the connection: they are
/// the client's hanging up.
pub(crate) async fn connection(stream: TcpStream, record: Arc<Record>) {
    let Ok(mut connection) = Connection::new(stream) else {
        return;
    };
    while let Ok(Some(request)) = connection.request().await {
        match answer(&mut connection, &record, request).await {
            Ok(After::Keep) => {}
            Ok(After::Close) | Err(_) => return,
        }
    }
}

async fn answer(
    connection: &mut Connection,
    record: &Record,
    request: Request,
) -> io::Result<After> {
    let (word, path) = split(&request.target);
    if request.method == "GET" && path == "/requests" {
        let counted = json!({ "requests": record.counts().arrived });
        return whole(connection, 200, &[], &counted).await;
    }
    let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let Some(ask) = Ask::read(path, &body) else {
        return whole(connection, 404, &[], &json!({ "error": { "code": "not_found" } })).await;
    };
    let (number, of_scenario) = record.arrived(Recorded {
        scenario: word.to_owned(),
        path: path.to_owned(),
        headers: request.headers,
        body,
        model: ask.model.clone(),
        instructions: ask.instructions.clone(),
        message: ask.message.clone(),
        streamed: ask.streamed,
    });
    let Some(scenario) = Scenario::read(word, of_scenario) else {
        return whole(connection, 404, &[], &json!({ "error": { "code": "no_scenario" } })).await;
    };
    let scenario = scenario.of_model(&ask.model);
    let telling = Telling::of(&ask, number, ending(scenario), scenario == Scenario::Details);
    let script = ask.wire.script(&telling);
    let script = match scenario {
        Scenario::Lying(lie) => lies::told(script, lie),
        Scenario::Flooding(flood) => {
            return floods::flood(connection, flood, &script, ask.streamed)
                .await
                .map(|it| match it {});
        }
        _ => script,
    };
    let mut stage = Stage { connection, record, scenario };
    if let Some(after) = stage.instead(&script, path).await? {
        return Ok(after);
    }
    if let Scenario::Lying(lie) = scenario {
        return stage.lying(&script, lie, ask.streamed).await;
    }
    if ask.streamed { stage.streamed(&script).await } else { stage.unary(&script).await }
}

/// `/s/429/v1/responses` is `429` and `/v1/responses`.
fn split(target: &str) -> (&str, &str) {
    let Some(rest) = target.strip_prefix("/s/") else {
        return ("ok", target);
    };
    match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    }
}

fn ending(scenario: Scenario) -> Ending {
    match scenario {
        Scenario::Incomplete => Ending::Limit,
        Scenario::Filtered => Ending::Filtered,
        Scenario::Lying(Lie::ToolCall) => Ending::Tool,
        _ => Ending::Natural,
    }
}

async fn whole(
    connection: &mut Connection,
    status: u16,
    headers: &[Header],
    body: &Value,
) -> io::Result<After> {
    let mut all = vec![("content-type", "application/json".to_owned())];
    all.extend_from_slice(headers);
    connection.whole(status, &all, body.to_string().as_bytes()).await?;
    Ok(After::Keep)
}

/// One answer under way.
struct Stage<'a> {
    connection: &'a mut Connection,
    record: &'a Record,
    scenario: Scenario,
}

impl Stage<'_> {
    /// What happens instead of an answer, or before it.
    async fn instead(&mut self, script: &Script, path: &str) -> io::Result<Option<After>> {
        match self.scenario {
            Scenario::Status { status, retry_after } => {
                let retry_after = retry_after.map(|it| ("retry-after", it.to_string()));
                let headers: Vec<_> = retry_after.into_iter().collect();
                whole(self.connection, status, &headers, &script.error(status)).await.map(Some)
            }
            Scenario::Html => {
                let page = b"<html><h1>Bad gateway</h1></html>";
                let headers = [("content-type", "text/html".to_owned())];
                self.connection.whole(502, &headers, page).await?;
                Ok(Some(After::Keep))
            }
            Scenario::Redirect => {
                let headers = [("location", format!("/s/ok{path}"))];
                whole(self.connection, 307, &headers, &Value::Null).await.map(Some)
            }
            Scenario::Reset => Ok(Some(After::Close)),
            Scenario::Silent => {
                self.forever().await;
                Ok(Some(After::Close))
            }
            Scenario::Slow(while_) => {
                tokio::time::sleep(while_).await;
                Ok(None)
            }
            Scenario::Gate => {
                let record = self.record;
                let held = self.held(&record.answers).await;
                Ok(if held { None } else { Some(After::Close) })
            }
            Scenario::Oversized => self.endless(200, script.content_type).await.map(Some),
            Scenario::OversizedError => self.endless(500, "application/json").await.map(Some),
            _ => Ok(None),
        }
    }

    /// An answer whose head or bytes are untrue. What is untrue of its words is in the script.
    async fn lying(&mut self, script: &Script, lie: Lie, streamed: bool) -> io::Result<After> {
        let frames = [&script.before, &script.deltas, &script.after].map(|it| it.concat()).concat();
        let body = if streamed { frames } else { script.whole.to_string() };
        let content_type = match lie {
            Lie::ContentType => "text/html",
            _ if streamed => script.content_type,
            _ => "application/json",
        };
        let headers = [("content-type", content_type.to_owned())];
        let mut body = body.into_bytes();
        let mut length = body.len();
        match lie {
            Lie::GoodError => {
                body = script.whole_failed.1.to_string().into_bytes();
                length = body.len();
            }
            Lie::Nothing => (body, length) = (Vec::new(), 0),
            Lie::NoText => {
                // In the middle of a word that is told.
                let word = body.windows(5).position(|it| it == b"terse").unwrap_or_default();
                body[word..word + 2].copy_from_slice(b"\xff\xfe");
            }
            Lie::LongLength => length += 100,
            Lie::ShortLength => length /= 2,
            _ => {}
        }
        self.connection.claimed(200, &headers, &body, length).await?;
        Ok(if lie == Lie::LongLength { After::Close } else { After::Keep })
    }

    async fn unary(&mut self, script: &Script) -> io::Result<After> {
        let body = script.whole.to_string();
        let half = &body.as_bytes()[..body.len() / 2];
        match self.scenario {
            Scenario::Failed => {
                let (status, body) = &script.whole_failed;
                return whole(self.connection, *status, &[], body).await;
            }
            Scenario::BadFrame | Scenario::EarlyEnd => {
                self.connection.begin(200, "application/json").await?;
                self.connection.chunk(half).await?;
                self.connection.end().await?;
            }
            Scenario::Cut => {
                self.connection.begin(200, "application/json").await?;
                self.connection.chunk(half).await?;
                return Ok(After::Close);
            }
            Scenario::Stall => {
                self.connection.begin(200, "application/json").await?;
                self.connection.chunk(half).await?;
                self.forever().await;
                return Ok(After::Close);
            }
            Scenario::Bytes => {
                self.connection.begin(200, "application/json").await?;
                for byte in body.as_bytes() {
                    self.connection.chunk(&[*byte]).await?;
                }
                self.connection.end().await?;
            }
            _ => return whole(self.connection, 200, &[], &script.whole).await,
        }
        Ok(After::Keep)
    }

    async fn streamed(&mut self, script: &Script) -> io::Result<After> {
        self.connection.begin(200, script.content_type).await?;
        if self.scenario == Scenario::BusyInStream {
            self.frame(&script.busy).await?;
            self.connection.end().await?;
            return Ok(After::Keep);
        }
        self.frames(&script.before).await?;
        for (place, frame) in script.deltas.iter().enumerate() {
            if place == 2 {
                match self.scenario {
                    Scenario::Stall => {
                        self.forever().await;
                        return Ok(After::Close);
                    }
                    Scenario::Cut => {
                        self.connection.chunk(&frame.as_bytes()[..frame.len() / 2]).await?;
                        return Ok(After::Close);
                    }
                    Scenario::EarlyEnd => {
                        self.connection.end().await?;
                        return Ok(After::Keep);
                    }
                    Scenario::BadFrame => {
                        self.frame(&script.bad).await?;
                        continue;
                    }
                    Scenario::Failed => {
                        self.frame(&script.failed).await?;
                        self.connection.end().await?;
                        return Ok(After::Keep);
                    }
                    Scenario::UnknownEvent => self.frame(&script.unknown).await?,
                    _ => {}
                }
            }
            if let Scenario::Drip(pause) = self.scenario {
                tokio::time::sleep(pause).await;
            }
            let record = self.record;
            if self.scenario == Scenario::GateDeltas && !self.held(&record.deltas).await {
                return Ok(After::Close);
            }
            self.frame(frame).await?;
        }
        self.frames(&script.after).await?;
        self.connection.end().await?;
        Ok(After::Keep)
    }

    /// Frames that a provider has ready at the same moment leave together, unless the scenario is
    /// about how they leave.
    async fn frames(&mut self, frames: &[String]) -> io::Result<()> {
        if self.scenario == Scenario::Fine && !frames.is_empty() {
            return self.connection.chunk(frames.concat().as_bytes()).await;
        }
        for frame in frames {
            self.frame(frame).await?;
        }
        Ok(())
    }

    /// One frame, in the scenario's way of writing.
    async fn frame(&mut self, frame: &str) -> io::Result<()> {
        match self.scenario {
            Scenario::Crlf => {
                let frame = frame.replace('\n', "\r\n");
                for part in frame.split_inclusive('\r') {
                    self.connection.chunk(part.as_bytes()).await?;
                    // A turn for the client, so that it sees the two characters apart.
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Scenario::Bytes => {
                for byte in frame.as_bytes() {
                    self.connection.chunk(&[*byte]).await?;
                }
                Ok(())
            }
            Scenario::Comments if frame.starts_with("data:") || frame.starts_with("event:") => {
                self.connection.chunk(b": still here\n\n").await?;
                self.connection.chunk(frame.as_bytes()).await
            }
            _ => self.connection.chunk(frame.as_bytes()).await,
        }
    }

    /// Waits for the gate; false if the client hung up before.
    async fn held(&mut self, gate: &Semaphore) -> bool {
        tokio::select! {
            permit = gate.acquire() => {
                if let Ok(permit) = permit {
                    permit.forget();
                }
                true
            }
            () = self.connection.hung_up() => {
                self.record.abandoned();
                false
            }
        }
    }

    /// Waits until the client hangs up.
    async fn forever(&mut self) {
        self.connection.hung_up().await;
        self.record.abandoned();
    }

    /// Writes until the client hangs up.
    async fn endless(&mut self, status: u16, content_type: &'static str) -> io::Result<After> {
        self.connection.begin(status, content_type).await?;
        self.connection.chunk(b"data: ").await?;
        loop {
            self.connection.chunk(&[b'x'; 16 * 1024]).await?;
        }
    }
}
