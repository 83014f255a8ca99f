//! A client that was served and gets no FIN, because a program that the server has started holds the connection open.

use super::detector::{About, Cost, Detector, Harm, Observation, Place, Sighting};

pub(super) struct WithheldFin;

impl Detector for WithheldFin {
    fn about(&self) -> &'static About {
        &About {
            name: "withheld-fin",
            summary: "a client that was served gets no FIN, for another program has inherited the connection",
            advice: "open every descriptor with close-on-exec: accept4 with SOCK_CLOEXEC, or FD_CLOEXEC right after accept. What a server starts \
                     otherwise inherits the connections that are open then, and none of their clients sees the end before it has ended.",
            cost: Cost::Run,
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::FinWithheld(withheld) = observation else { return None };
        let evidence = format!(
            "the server has closed the connection of {}, its descriptor {}, and no FIN was sent: `{}`, which it has started, has inherited the \
             descriptor, has never used it, and waits without any time limit",
            withheld.client, withheld.fd, withheld.holder
        );
        Some(Sighting { place: Place { call: Some("close"), ..Place::SERVER }, evidence })
    }
}
