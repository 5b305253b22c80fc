//! A request out, an answer of bounded size back.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use crate::connect::connect;
use crate::{Failure, Host, Limits, Times};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// `http://` or `https://`, host, optional port, path and query.
    pub url: String,
    /// Headers; the host is added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A GET without headers.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Sends a request over a connection of its own, and reads the whole answer. Follows no redirect, uses no proxy, repeats
/// nothing. The connection is closed before this returns.
///
/// # Errors
/// The step that failed. What was done until then is in the times.
pub async fn exchange(request: Request, limits: Limits) -> (Times, Result<Answer, Failure>) {
    let mut times = Times::default();
    let result = attempt(request, limits, &mut times).await;
    (times, result)
}

async fn attempt(request: Request, limits: Limits, times: &mut Times) -> Result<Answer, Failure> {
    let deadline = Instant::now() + limits.total;
    let (host, request) = prepare(request)?;
    let stream = connect(&host, limits.connect.min(limits.total), times).await?;
    let sent = Instant::now();
    let late = |_| Failure::ReadTimeout("the connection was made".to_owned());
    let talk = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let conversation = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| broken(&error))?;
            times.first_byte = Some(sent.elapsed());
            read(response, limits.body).await
        };
        // The connection does the reading and writing, so both run at once; dropping it closes the socket.
        tokio::pin!(conversation);
        tokio::pin!(connection);
        tokio::select! {
            biased;
            result = &mut conversation => result,
            ended = &mut connection => match ended {
                // The peer closed after its answer, which the conversation still holds.
                Ok(()) => conversation.await,
                Err(error) => {
                    let failure = broken(&error);
                    conversation.await.map_err(|_| failure)
                }
            },
        }
    };
    timeout_at(deadline, talk).await.map_err(late)?
}

/// The host to connect to and the request as it is sent there.
fn prepare(request: Request) -> Result<(Host, hyper::Request<Full<Bytes>>), Failure> {
    let unfit = |what: &str| Failure::Unfit(what.to_owned());
    let url: Uri = request
        .url
        .parse()
        .map_err(|_| unfit("the address is no url"))?;
    let tls = match url.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(unfit("the address is neither https nor http")),
    };
    let authority = url
        .authority()
        .ok_or_else(|| unfit("the address has no host"))?;
    let host = Host {
        name: authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned(),
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        tls,
    };
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut sent = hyper::Request::new(Full::new(request.body));
    *sent.method_mut() = request.method;
    *sent.uri_mut() = path
        .parse()
        .map_err(|_| unfit("the path of the address is unfit"))?;
    *sent.headers_mut() = request.headers;
    let named =
        HeaderValue::from_str(authority.as_str()).map_err(|_| unfit("the host is unfit"))?;
    sent.headers_mut().insert(HOST, named);
    Ok((host, sent))
}

async fn read(
    response: hyper::Response<hyper::body::Incoming>,
    limit: usize,
) -> Result<Answer, Failure> {
    let (parts, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if body.len() + data.len() > limit {
            return Err(Failure::AnswerTooLarge(limit));
        }
        body.extend_from_slice(data);
    }
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.into(),
    })
}

/// A conversation that broke off: the connection, or what was said.
fn broken(error: &hyper::Error) -> Failure {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    if error.is_parse() {
        Failure::NoHttp(text)
    } else if error.is_user() {
        Failure::Unfit(text)
    } else {
        Failure::ConnectionReset(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LIMITS: Limits = Limits {
        connect: Duration::from_secs(5),
        total: Duration::from_secs(10),
        body: 1000,
    };

    /// Answers one connection with these bytes and closes it; with none, resets it.
    async fn peer(answer: Option<&'static str>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let count = stream.read(&mut asked).await.unwrap();
            match answer {
                Some(text) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    drop(stream.shutdown().await);
                }
                None => stream.set_zero_linger().unwrap(),
            }
            String::from_utf8_lossy(&asked[..count]).into_owned()
        });
        (format!("http://{address}/path?x=1"), task)
    }

    #[tokio::test]
    async fn an_answer_comes_with_its_times() {
        let (url, task) = peer(Some(
            "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\n\r\nok",
        ))
        .await;
        let url = url.replace("127.0.0.1", "localhost");
        let (times, answer) = exchange(Request::get(url), LIMITS).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
        assert_eq!(answer.headers["x-a"], "b");
        assert!(times.dns.is_some() && times.tcp.is_some() && times.first_byte.is_some());
        assert_eq!(times.tls, None);
        let asked = task.await.unwrap();
        assert!(asked.starts_with("GET /path?x=1 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_lowercase().contains("host: localhost:"), "{asked}");
    }

    #[tokio::test]
    async fn an_answer_may_end_with_the_connection() {
        let (url, _) = peer(Some("HTTP/1.1 503 No\r\n\r\nall of it")).await;
        let (_, answer) = exchange(Request::get(url), LIMITS).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (503, &b"all of it"[..]));
    }

    #[tokio::test]
    async fn each_failure_names_its_step() {
        let (reset, _) = peer(None).await;
        let (short, _) = peer(Some("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")).await;
        let (closed, _) = peer(Some("")).await;
        let (strange, _) = peer(Some("hello\r\n\r\n")).await;
        let (large, _) = peer(Some(
            "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello, world",
        ))
        .await;
        let (no_tls, _) = peer(Some("HTTP/1.1 400 Bad\r\n\r\n")).await;
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = format!("http://{}/", free.local_addr().unwrap());
        drop(free);
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hangs = format!("http://{}/", silent.local_addr().unwrap());
        let tls_hangs = hangs.replace("http", "https");
        let short_of_time = Limits {
            connect: Duration::from_millis(50),
            total: Duration::from_millis(100),
            body: 5,
        };
        let small = Limits { body: 5, ..LIMITS };
        type Expected = fn(&Failure) -> bool;
        let table: [(String, Limits, Expected); 10] = [
            (reset, LIMITS, |f| matches!(f, Failure::ConnectionReset(_))),
            (short, LIMITS, |f| matches!(f, Failure::ConnectionReset(_))),
            (closed, LIMITS, |f| matches!(f, Failure::ConnectionReset(_))),
            (strange, LIMITS, |f| matches!(f, Failure::NoHttp(_))),
            (large, small, |f| matches!(f, Failure::AnswerTooLarge(5))),
            (no_tls.replace("http", "https"), LIMITS, |f| {
                matches!(f, Failure::TlsRejected(_))
            }),
            (refused, LIMITS, |f| {
                matches!(f, Failure::ConnectionRefused(_))
            }),
            (hangs, short_of_time, |f| {
                matches!(f, Failure::ReadTimeout(_))
            }),
            (tls_hangs, short_of_time, |f| {
                matches!(f, Failure::ConnectTimeout(_))
            }),
            ("http://no-such-host.invalid/".to_owned(), LIMITS, |f| {
                matches!(f, Failure::NameNotFound(_))
            }),
        ];
        for (url, limits, expected) in table {
            let (_, result) = exchange(Request::get(url.clone()), limits).await;
            let failure = result.unwrap_err();
            assert!(expected(&failure), "{url}: {failure:?}");
        }
    }

    #[tokio::test]
    async fn what_was_done_before_a_failure_is_timed() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let limits = Limits {
            total: Duration::from_millis(50),
            ..LIMITS
        };
        let (times, result) = exchange(Request::get(url), limits).await;
        assert!(result.is_err());
        assert!(times.tcp.is_some());
        assert_eq!(times.first_byte, None);
    }
}
