//! The line to a server: messages go out and come in, and never more bytes than are left.
//!
//! A driver reads a message of any size the server announces, and a value has up to a gigabyte. So
//! the size is looked at before the message is read.

use std::io;
use std::pin::Pin;

use bytes::BytesMut;
use postgres_protocol::message::backend::{Header, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::place::Place;

trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

pub(super) struct Line {
    stream: Pin<Box<dyn Stream>>,
    pub(super) output: BytesMut,
    input: BytesMut,
    /// How many more bytes of messages may come in.
    left: usize,
    /// Whether nobody on the way can read what is said.
    pub(super) is_private: bool,
}

/// The line can be used no more.
#[derive(Debug)]
pub(super) enum Broken {
    /// More would have come in than may.
    TooLarge,
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(fault: io::Error) -> Self {
        Self::Io(fault)
    }
}

/// The other side says what it should not.
pub(super) fn unexpected() -> Broken {
    Broken::Io(io::Error::new(io::ErrorKind::InvalidData, "the server says what it should not"))
}

impl Line {
    pub(super) async fn open(place: &Place) -> io::Result<Self> {
        let mut stream = TcpStream::connect((place.host.as_str(), place.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &place.tls else {
            return Ok(Self::over(stream, false));
        };
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        stream.write_all(&request).await?;
        // One byte and not one more: what follows belongs to the encrypted part.
        if stream.read_u8().await? != b'S' {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the server does not encrypt"));
        }
        let connector = TlsConnector::from(tls.config.clone());
        Ok(Self::over(connector.connect(tls.name.clone(), stream).await?, true))
    }

    fn over(stream: impl Stream + 'static, is_private: bool) -> Self {
        let (output, input) = (BytesMut::new(), BytesMut::new());
        Self { stream: Box::pin(stream), output, input, left: 0, is_private }
    }

    /// From here on, so many bytes may come in.
    pub(super) fn allow(&mut self, bytes: usize) {
        self.left = bytes;
    }

    /// Sends what was written to `output`.
    pub(super) async fn send(&mut self) -> Result<(), Broken> {
        let output = self.output.split();
        self.stream.write_all(&output).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next message that means something. Notices and notifications only count.
    pub(super) async fn receive(&mut self) -> Result<Message, Broken> {
        loop {
            if let Some(header) = Header::parse(&self.input)? {
                let bytes = usize::try_from(header.len()).map_err(|_| unexpected())?;
                let left = self.left.checked_sub(bytes).ok_or(Broken::TooLarge)?;
                if let Some(message) = Message::parse(&mut self.input)? {
                    self.left = left;
                    match message {
                        Message::NoticeResponse(_)
                        | Message::NotificationResponse(_)
                        | Message::ParameterStatus(_) => continue,
                        message => return Ok(message),
                    }
                }
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}
