//! Serialises what has a text form as that text (`serde`).

use crate::case::Case;
use crate::detect::Kind;
use crate::protocol::Protocol;
use crate::scenario::{Client, Errno, Scenario};
use crate::subject::Sigpipe;
use crate::subject::{Policy, Program};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;

/// Each of these is its text.
macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'d> Deserialize<'d> for $type {
            /// Fails for a text that is none, as `parse` does.
            fn deserialize<D: Deserializer<'d>>(from: D) -> Result<$type, D::Error> {
                Cow::<'d, str>::deserialize(from)?.parse().map_err(Error::custom)
            }
        }
    )+};
}

as_text!(Case, Client, Errno, Policy, Program, Protocol, Scenario, Sigpipe, Kind);

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_text_form_is_read_back_from_it() {
        fn back<T: Serialize + for<'d> Deserialize<'d> + PartialEq + std::fmt::Debug>(value: T, text: &str) {
            assert_eq!(serde_json::to_value(&value).unwrap(), text);
            assert_eq!(serde_json::from_value::<T>(text.into()).unwrap(), value);
        }
        back("a connect; a send \"x\"".parse::<Scenario>().unwrap(), "a connect; a send \"x\"");
        back("accept; send 26; close".parse::<Program>().unwrap(), "accept; send 26; close");
        back(Policy::NoSignal, "nosignal");
        back(Kind::FdLeak, "fd-leak");
        back(Protocol::Http, "http");
        back(Errno::EPIPE, "EPIPE");
        back(Client::nth(0), "a");
    }

    #[test]
    fn what_is_no_such_text_is_refused_with_the_reason() {
        let error = serde_json::from_str::<Scenario>("\"a conect\"").unwrap_err().to_string();
        assert!(error.contains("did you mean `connect`?"), "{error}");
    }
}
