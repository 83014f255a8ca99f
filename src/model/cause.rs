//! Why calls of the server fail. The model records the causes while it runs, and explanations only put them into words.

use crate::scenario::{Call, Client};

/// How the RST of a client came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reset {
    /// By an abortive close.
    Abort,
    /// By a close that left data unread.
    Unread,
    /// As the response to data that the server sent after the client's close.
    Drawn,
}

/// Why a send failed with EPIPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// The server had shut down its sending side. `fin`: the client had sent its FIN too.
    ShutDown { fin: bool },
    /// The error that an RST had left was returned by an earlier call, and an error is returned once (`sk_stream_error`).
    Returned { reset: Reset, by: Call },
    /// An RST in CLOSE_WAIT left EPIPE (`tcp_reset`). `queued`: the connection was in the accept queue then.
    ResetAfterFin { reset: Reset, queued: bool },
    /// The server had sent to a client that had closed, which drew an RST.
    Drawn,
}

/// A send that failed with EPIPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Broken {
    /// How many calls the server had made before.
    pub(crate) call: usize,
    /// The client of the connection.
    pub(crate) client: Client,
    /// Whether it was the server's first send on the connection.
    pub(crate) first: bool,
    pub(crate) cause: Cause,
}

/// An ECONNRESET that a call returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Returned {
    /// How many calls the server had made before.
    pub(crate) call: usize,
    /// The client of the connection.
    pub(crate) client: Client,
    pub(crate) reset: Reset,
    pub(crate) by: Call,
}

/// The failures of a run that have a cause on the connection; injected errors have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Failures {
    /// The broken sends, in order.
    pub(crate) broken: Vec<Broken>,
    /// The first ECONNRESET.
    pub(crate) returned: Option<Returned>,
}

impl Failures {
    pub(super) fn clear(&mut self) {
        self.broken.clear();
        self.returned = None;
    }
}

/// What has happened on one connection, as far as it can be a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Past {
    /// Whether the server has accepted the connection.
    pub(super) accepted: bool,
    /// Whether the server has made a send call, even one that failed.
    pub(super) sent: bool,
    /// Whether the server has shut down its sending side.
    pub(super) shut: bool,
    /// The client's RST, and whether the connection was in the accept queue then.
    reset: Option<(Reset, bool)>,
    /// The kind of call that returned ECONNRESET.
    returned: Option<Returns>,
}

/// A kind of call that returns the error of a socket. Smaller than [`Call`], because there is one for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Returns {
    Send,
    Recv,
}

impl Returns {
    const fn call(self) -> Call {
        match self {
            Returns::Send => Call::Send,
            Returns::Recv => Call::Recv,
        }
    }
}

impl Past {
    /// Nothing yet.
    pub(super) const NONE: Past = Past { accepted: false, sent: false, shut: false, reset: None, returned: None };

    /// The client has sent an RST.
    pub(super) fn reset(&mut self, reset: Reset) {
        self.reset = self.reset.or(Some((reset, !self.accepted)));
    }

    /// A call has returned ECONNRESET.
    pub(super) fn returned(&mut self, call: usize, client: Client, by: Returns) -> Option<Returned> {
        self.returned = Some(by);
        self.reset.map(|(reset, _)| Returned { call, client, reset, by: by.call() })
    }

    /// A send has failed with EPIPE. `fin`: the client's FIN has arrived. `None` if there is no cause, which is a fault of the model.
    pub(super) fn broken(&self, call: usize, client: Client, fin: bool) -> Option<Broken> {
        let cause = match (self.returned, self.reset) {
            _ if self.shut => Cause::ShutDown { fin },
            (Some(by), Some((reset, _))) => Cause::Returned { reset, by: by.call() },
            (None, Some((Reset::Drawn, _))) => Cause::Drawn,
            (None, Some((reset, queued))) => Cause::ResetAfterFin { reset, queued },
            (_, None) => return None,
        };
        Some(Broken { call, client, first: !self.sent, cause })
    }
}
