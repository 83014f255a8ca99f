//! What a fuzzer plays: a server and a scenario, as bytes.

use crate::case::Case;
use crate::model::Model;
use crate::scenario::Scenario;
use crate::subject::Setup;
use crate::trace::Trace;
use crate::world::{certain, play};

/// One input of the fuzz targets: the bytes of a [`Setup`], then those of a [`Scenario`]. A file of their corpus holds one, and so
/// does an artifact.
///
/// ```
/// use brokenpipe::{Input, Setup};
///
/// let input = Input::new(Setup::default(), "a connect; b connect; b fin; b rst; a close".parse()?);
/// assert_eq!(Input::decode(&input.encode()), input);
/// # Ok::<(), brokenpipe::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Input {
    /// The server.
    pub setup: Setup,
    /// What the clients do.
    pub scenario: Scenario,
}

impl Input {
    /// An input of these two.
    pub const fn new(setup: Setup, scenario: Scenario) -> Input {
        Input { setup, scenario }
    }

    /// The input that `bytes` stand for. Any do ([`Setup::decode`], [`Scenario::decode`]).
    pub fn decode(bytes: &[u8]) -> Input {
        let (setup, rest) = Setup::decode(bytes);
        Input { setup, scenario: Scenario::decode(rest) }
    }

    /// The bytes that [`Input::decode`] turns back into this input, its clients renamed to `a`, `b`, … in the order of their
    /// names.
    pub fn encode(&self) -> Vec<u8> {
        [self.setup.encode(), self.scenario.encode()].concat()
    }

    /// The command that plays it in both worlds, as one types it into a shell.
    ///
    /// ```
    /// use brokenpipe::Input;
    ///
    /// let command = Input::default().replay();
    /// assert_eq!(command, "brokenpipe run --program 'accept; send 26; recv-all; close' --policy default ''");
    /// ```
    pub fn replay(&self) -> String {
        let Setup { program, policy } = &self.setup;
        // No text of these holds a quote: that of a payload escapes it.
        let scenario = &self.scenario;
        format!("brokenpipe run --program '{program}' --policy {policy} '{scenario}'")
    }

    /// The case that holds it to what comes of it in the model.
    pub fn case(&self, cause: impl Into<String>) -> Case {
        let Input { setup, scenario } = self;
        let mut trace = Trace::default();
        certain(play(&mut Model::default(), setup, scenario, &mut trace));
        Case::of(scenario, setup, &trace, cause)
    }
}

impl From<&Case> for Input {
    /// What is played of a case, without what it must come to.
    fn from(case: &Case) -> Input {
        Input::new(case.setup(), case.scenario.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_an_input_and_its_own_bytes_give_it_back() {
        for bytes in [&b""[..], b"\x03", b"\x04\xff\x00", b"\x01\x01\x00\x1a\x00\x00\x07\x00\x00\x03"] {
            let input = Input::decode(bytes);
            let again = Input::decode(&input.encode());
            assert_eq!(again.encode(), input.encode(), "{bytes:?}");
            assert_eq!(again.setup, input.setup);
        }
    }

    #[test]
    fn a_quote_in_a_payload_does_not_end_the_shell_s_quotes() {
        let input = Input::new(Setup::default(), "a send \"it's\"".parse().unwrap());
        assert_eq!(input.replay().matches('\'').count(), 4, "{}", input.replay());
    }
}
