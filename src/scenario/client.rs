//! Names of clients.

use super::table::Row;
use std::fmt;
use std::str::FromStr;

/// Maximum number of clients of a scenario. Each client has one connection, and all of them must fit in the accept queue of a
/// held server.
pub const MAX_CLIENTS: usize = 64;

/// Words that cannot name a client, in addition to the words of harness events.
const RESERVED: [&str; 4] = ["teardown", "probe", "program", "bystand"];

/// A client of a scenario, known by its name: a lower-case letter, then up to seven lower-case letters, digits or `_`.
///
/// Clients are ordered by name, which is the order in which the teardown closes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(u64); // The name, big-endian and padded with zeros, so that integer order is name order.

impl Client {
    /// The polite client. No scenario can use this name.
    pub(crate) const PROBE: Client = Client(u64::from_be_bytes(*b"probe\0\0\0"));

    /// The polite client that is connected throughout. No scenario can use this name either.
    pub(crate) const BYSTANDER: Client = Client(u64::from_be_bytes(*b"bystand\0"));

    /// Whether this is one of the harness's own clients.
    pub(crate) fn is_own(self) -> bool {
        self == Client::PROBE || self == Client::BYSTANDER
    }

    /// The client of rank `k`, from 0: `a` to `z`, then `za` to `zz`, then `zza` and on, so that rank order is name order.
    ///
    /// Ranks from [`MAX_CLIENTS`] on start again at `a`.
    pub const fn nth(k: usize) -> Client {
        let k = k % MAX_CLIENTS;
        let mut name = 0u64;
        let mut shift = 56;
        let mut i = 0;
        while i < k / 26 {
            name |= (b'z' as u64) << shift;
            shift -= 8;
            i += 1;
        }
        Client(name | ((b'a' + (k % 26) as u8) as u64) << shift)
    }
}

impl FromStr for Client {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Client, BadName> {
        let bytes = name.as_bytes();
        let [first, rest @ ..] = bytes else {
            return Err(BadName::Shape);
        };
        let tail = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
        if !first.is_ascii_lowercase() || !rest.iter().all(tail) || bytes.len() > 8 {
            return Err(BadName::Shape);
        }
        if RESERVED.contains(&name) || Row::of_word(name, false).is_some() {
            return Err(BadName::Reserved);
        }
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Client(u64::from_be_bytes(padded)))
    }
}

/// Why a word cannot name a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadName {
    /// The word is not a lower-case letter followed by up to seven lower-case letters, digits or `_`.
    #[error("a client's name is a lower-case letter, then up to seven of a-z, 0-9 and _")]
    Shape,
    /// The word is one of the scenario language.
    #[error("this word has a meaning of its own and cannot name a client")]
    Reserved,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Client::BYSTANDER {
            // `bystander` is one letter too long for a name.
            return f.pad("bystander");
        }
        let bytes = self.0.to_be_bytes();
        let len = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        f.pad(std::str::from_utf8(&bytes[..len]).unwrap_or("?"))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::table;

    #[test]
    fn rank_order_is_name_order_for_every_client() {
        let clients: Vec<Client> = (0..MAX_CLIENTS).map(Client::nth).collect();
        assert!(clients.is_sorted_by(|a, b| a < b));
        let names: Vec<String> = clients.iter().map(Client::to_string).collect();
        assert!(names.is_sorted_by(|a, b| a < b));
        for (client, name) in clients.iter().zip(&names) {
            assert_eq!(name.parse(), Ok(*client));
        }
    }

    #[test]
    fn the_harness_s_own_clients_are_shown_whole() {
        assert_eq!([Client::PROBE, Client::BYSTANDER].map(|c| c.to_string()), ["probe", "bystander"]);
        assert!("bystander".parse::<Client>().is_err());
    }

    #[test]
    fn names_that_are_no_names_are_refused() {
        for bad in ["", "A", "1a", "a-b", "ninechars", "é"] {
            assert_eq!(bad.parse::<Client>(), Err(BadName::Shape), "{bad}");
        }
        for reserved in RESERVED.into_iter().chain(table::words(false)) {
            assert_eq!(reserved.parse::<Client>(), Err(BadName::Reserved), "{reserved}");
        }
    }
}
