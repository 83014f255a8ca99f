//! A request that the server was told of, and that it answers with an RST because a timeout has expired meanwhile.

use super::detector::{About, Cost, Detector, Harm, Observation, Place, Sighting};
use crate::trace::TcpState;

pub(super) struct RequestReset;

impl Detector for RequestReset {
    fn about(&self) -> &'static About {
        &About {
            name: "request-reset",
            summary: "a timeout of the server cuts off a request that it was told of and has not read",
            advice: "when a timeout expires, read first what poll, epoll or select has reported on that connection. To end an idle one, shut down \
                     the sending side and read until the client closes (RFC 9112, section 9.6): a close with unread data sends an RST, which may \
                     take from the client even an answer that it has not read yet.",
            cost: Cost::Run,
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::RequestReset(reset) = observation else { return None };
        let evidence = format!(
            "{}'s request of {} B came in time; {} told the server of it, and the server closed the connection without reading it, for its timeout had \
             expired: the client got an RST",
            reset.client, reset.bytes, reset.told_by
        );
        let place = Place { role: reset.role, call: Some("close"), state: Some(TcpState::Established) };
        Some(Sighting { place, evidence })
    }
}
