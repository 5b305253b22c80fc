//! Connections which the simulator can break: a doomed one ends with a reset instead of an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// The handle of one connection, given to the handlers of its requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wire(Arc<AtomicBool>);

impl Wire {
    /// From here on nothing is written any more; the next attempt resets the connection.
    pub(crate) fn doom(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn doomed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A TCP stream with its handle.
pub(crate) struct Stream {
    inner: TcpStream,
    wire: Wire,
}

impl Stream {
    fn check(&self) -> io::Result<()> {
        if !self.wire.doomed() {
            return Ok(());
        }
        // With no lingering the close that follows is a reset, as of a broken load balancer.
        self.inner.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Accepts breakable connections.
pub(crate) struct Door(pub(crate) TcpListener);

/// The far end of a connection and its handle.
#[derive(Debug)]
pub(crate) struct Caller {
    wire: Wire,
}

impl Listener for Door {
    type Io = Stream;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok((inner, _)) => {
                    // Small answers must not wait for the delayed acknowledgement of the one before.
                    let _ = inner.set_nodelay(true);
                    let wire = Wire::default();
                    return (
                        Stream {
                            inner,
                            wire: wire.clone(),
                        },
                        Caller { wire },
                    );
                }
                // Out of file descriptors, mostly: waiting lets other connections end.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Caller {
            wire: Wire::default(),
        })
    }
}

impl Connected<IncomingStream<'_, Door>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().wire.clone()
    }
}

/// Binds a loopback address, and nothing else.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, crate::SimError> {
    if !address.ip().is_loopback() {
        return Err(crate::SimError::NotLoopback(address));
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| crate::SimError::Listen { address, source })
}
