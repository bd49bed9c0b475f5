//! `wasi:http`: what a language's own `fetch` calls. It goes through the same door as `http`, with
//! the same count; there is no other client behind it.
//!
//! Requests and answers are whole here, too: a body is sent when the guest has finished it, and
//! read when all of it is there.
//!
//! A request lies in the host's memory while the guest writes it, and a guest may begin as many as
//! it may have handles. So whatever it says of one is bounded when it says it.

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::outgoing::{Admitted, HEADER_BYTES, Head, METHOD_BYTES, Outgoing, URL_BYTES};
use super::wasi::WasiState;
use crate::call::CallState;
use crate::services::{OutboundFailure, OutboundResponse};

/// What is buffered of a body that nobody reads yet; the rest waits in the guest.
const CHUNK_BYTES: usize = 16 * 1024;

/// The interface of the crate that is linked, in which three functions are bounded.
const TYPES: &str = "wasi:http/types@0.2.12";

type Store<'a> = StoreContextMut<'a, CallState>;

/// A request that a guest writes.
type Draft = Resource<HostOutgoingRequest>;

/// Whether what the guest said of it was taken.
type Answer = wasmtime::Result<(Result<(), ()>,)>;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_>, (request, method): (Draft, Method)| -> Answer {
            match &method {
                Method::Other(text) if METHOD_BYTES < text.len() => Ok((Err(()),)),
                _ => Ok((store.data_mut().http().set_method(request, method)?,)),
            }
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_>, (request, text): (Draft, Option<String>)| -> Answer {
            match &text {
                Some(text) if URL_BYTES < text.len() => Ok((Err(()),)),
                _ => Ok((store.data_mut().http().set_authority(request, text)?,)),
            }
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_>, (request, text): (Draft, Option<String>)| -> Answer {
            match &text {
                Some(text) if URL_BYTES < text.len() => Ok((Err(()),)),
                _ => Ok((store.data_mut().http().set_path_with_query(request, text)?,)),
            }
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let wasi = self
            .wasi
            .get_or_insert_with(|| Box::new(WasiState::new(&self.site.grants, &self.meter.limits)));
        wasi.http.set_field_size_limit(HEADER_BYTES);
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut wasi.table, ctx: &mut wasi.http }
    }
}

/// What is still to be done for an exchange whose answer is there: nothing.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Outgoing {
    /// The host's client sets it, from the URL.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Rest,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Rest), Error>> + Send> {
        let limit = self.body_limit_bytes();
        let (parts, body) = request.into_parts();
        let admitted = match head(parts).map(|it| self.admit(it)) {
            Ok(Ok(Ok(admitted))) => Ok(admitted),
            Ok(Ok(Err(failure))) | Err(failure) => Err(error(failure, limit)),
            // A hook cannot end the call, as `http` does; it can refuse.
            Ok(Err(_)) => Err(Error::HttpRequestDenied),
        };
        Box::new(async move {
            let answer = exchange(admitted?, body, limit).await?;
            Ok((answer, Box::new(async { Ok(()) }) as Rest))
        })
    }
}

async fn exchange(
    admitted: Admitted,
    body: WasiBody,
    limit: usize,
) -> Result<Response<WasiBody>, Error> {
    let body = read(body, limit).await?;
    let body = (!body.is_empty()).then(|| body.into());
    response(admitted.send(body).await.map_err(|it| error(it, limit))?)
}

fn head(parts: Parts) -> Result<Head, OutboundFailure> {
    let mut headers = Vec::new();
    for (name, value) in &parts.headers {
        // The length is checked against the body already, and the host's client says it anew.
        if name == header::CONTENT_LENGTH {
            continue;
        }
        let value = value.to_str();
        let value = value.map_err(|_| OutboundFailure::Invalid("a header must be plain ASCII"))?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    Ok(Head { method: parts.method.to_string(), url: parts.uri.to_string(), headers })
}

async fn read(mut body: WasiBody, limit: usize) -> Result<BytesMut, Error> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if limit < bytes.len() + piece.len() {
            return Err(Error::HttpRequestBodySize(Some(limit as u64)));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn response(answer: OutboundResponse) -> Result<Response<WasiBody>, Error> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let body = Full::new(Bytes::from(answer.body)).map_err(|it| match it {});
    response.body(body.boxed_unsync()).map_err(|_| Error::HttpProtocolError)
}

fn error(failure: OutboundFailure, limit: usize) -> Error {
    match failure {
        OutboundFailure::NotAllowed => Error::HttpRequestDenied,
        OutboundFailure::Invalid(text) => Error::InternalError(Some(text.to_owned())),
        OutboundFailure::TooLarge => Error::HttpResponseBodySize(Some(limit as u64)),
        OutboundFailure::TimedOut => Error::ConnectionTimeout,
        OutboundFailure::Failed => Error::ConnectionTerminated,
    }
}
