//! Somebody on the network who says all that it hears.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Answers each request with the request. One whose path ends in `/moved` is sent to `/wrong/a`.
pub(crate) struct Echo {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
}

impl Echo {
    #[expect(clippy::disallowed_methods, reason = "the task ends with the test")]
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let notes = heard.clone();
        let listening = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = request(&mut stream).await;
                let answer = answer(port, &request);
                notes.lock().unwrap().push(request);
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        Self { port, heard, listening }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What came since the last time.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A whole request, head and body.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
            if length.map_or(0, |it| it.parse().unwrap()) <= body.len() {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return text;
        }
    }
}

fn answer(port: u16, request: &str) -> String {
    let first = request.lines().next().unwrap_or_default();
    let status = match first.contains("/moved ") {
        true => format!("302 Found\r\nlocation: http://127.0.0.1:{port}/wrong/a"),
        false => "200 OK".to_owned(),
    };
    let authorization = request.lines().find(|it| it.starts_with("authorization"));
    let head = authorization.unwrap_or("x-none: x").replace("authorization", "x-heard");
    // In pieces that cut whatever there is to be cut.
    let body: String = request
        .as_bytes()
        .chunks(7)
        .map(|it| format!("{:x}\r\n{}\r\n", it.len(), String::from_utf8_lossy(it)))
        .collect();
    format!(
        "HTTP/1.1 {status}\r\n{head}\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n{body}0\r\n\r\n"
    )
}
