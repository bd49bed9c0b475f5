//! Just enough HTTP/1.1 to answer, to lie and to hang up.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The largest request that is read: more than any prompt of a test.
const REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// A header of an answer.
pub(crate) type Header = (&'static str, String);

/// A request as it came.
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    /// Lower case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One connection.
pub(crate) struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        // Each piece is to leave when it is written.
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader: BufReader::new(reader), writer })
    }

    /// The next request; none when the client hung up.
    pub(crate) async fn request(&mut self) -> io::Result<Option<Request>> {
        let Some(first) = self.line().await? else {
            return Ok(None);
        };
        let mut words = first.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let target = words.next().unwrap_or_default();
        let mut headers = Vec::new();
        while let Some(line) = self.line().await?.filter(|it| !it.is_empty()) {
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        if REQUEST_BYTES < length {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).await?;
        Ok(Some(Request { method, target, headers, body }))
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let most = REQUEST_BYTES as u64;
        if (&mut self.reader).take(most).read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        Ok(Some(line.trim_end().to_owned()))
    }

    /// Returns when the client hangs up. Does not lose a request that comes meanwhile.
    pub(crate) async fn hung_up(&mut self) {
        match self.reader.fill_buf().await {
            // Somebody who speaks before being answered has not gone; nobody here does.
            Ok(bytes) if !bytes.is_empty() => std::future::pending().await,
            _ => {}
        }
    }

    /// A whole answer.
    pub(crate) async fn whole(
        &mut self,
        status: u16,
        headers: &[Header],
        body: &[u8],
    ) -> io::Result<()> {
        self.claimed(status, headers, body, body.len()).await
    }

    /// A whole answer that says how long it is, whether that is true or not.
    pub(crate) async fn claimed(
        &mut self,
        status: u16,
        headers: &[Header],
        body: &[u8],
        length: usize,
    ) -> io::Result<()> {
        let mut all = headers.to_vec();
        all.push(("content-length", length.to_string()));
        let mut answer = head(status, &all).into_bytes();
        answer.extend_from_slice(body);
        self.writer.write_all(&answer).await
    }

    /// Bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// The beginning of an answer in chunks.
    pub(crate) async fn begin(
        &mut self,
        status: u16,
        content_type: &'static str,
    ) -> io::Result<()> {
        let headers = [
            ("content-type", content_type.to_owned()),
            ("transfer-encoding", "chunked".to_owned()),
        ];
        self.writer.write_all(head(status, &headers).as_bytes()).await
    }

    /// One chunk of an answer.
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.writer.write_all(&chunk).await
    }

    /// The end of an answer in chunks.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.writer.write_all(b"0\r\n\r\n").await
    }
}

fn head(status: u16, headers: &[Header]) -> String {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Fake\r\n{headers}\r\n")
}
