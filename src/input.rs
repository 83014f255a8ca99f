//! The input of the fuzz targets: a server and a scenario, as bytes.

use crate::case::Case;
use crate::model::Model;
use crate::scenario::Scenario;
use crate::subject::{Setup, Subject};
use crate::trace::Trace;
use crate::world::{certain, play};

/// One input of the fuzz targets. Its binary form is the bytes of a [`Setup`], then those of a [`Scenario`]. Each file of a fuzzer's corpus
/// holds one input, and so does each artifact.
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
    /// An input of this server and this scenario.
    pub const fn new(setup: Setup, scenario: Scenario) -> Input {
        Input { setup, scenario }
    }

    /// The server and the scenario of a case, without the expected result. `None` for a case of a command, which no fuzz target plays.
    pub fn of(case: &Case) -> Option<Input> {
        match &case.subject {
            Subject::Program(setup) => Some(Input::new(setup.clone(), case.scenario.clone())),
            Subject::Command(_) => None,
        }
    }

    /// Decodes an input. All bytes are valid ([`Setup::decode`], [`Scenario::decode`]).
    pub fn decode(bytes: &[u8]) -> Input {
        let (setup, rest) = Setup::decode(bytes);
        Input { setup, scenario: Scenario::decode(rest) }
    }

    /// Encodes the input. [`Input::decode`] gives it back, with its clients renamed to `a`, `b`, … in the order of their names.
    pub fn encode(&self) -> Vec<u8> {
        [self.setup.encode(), self.scenario.encode()].concat()
    }

    /// The shell command that plays the input in both worlds.
    ///
    /// ```
    /// use brokenpipe::Input;
    ///
    /// let command = Input::default().replay();
    /// assert_eq!(command, "brokenpipe run --program 'accept; send 26; recv-all; close' --policy default ''");
    /// ```
    pub fn replay(&self) -> String {
        let Setup { program, policy } = &self.setup;
        // None of these texts contains a single quote: the text of a payload escapes it.
        let scenario = &self.scenario;
        format!("brokenpipe run --program '{program}' --policy {policy} '{scenario}'")
    }

    /// A case that expects what the model predicts for this input.
    pub fn case(&self, cause: impl Into<String>) -> Case {
        let Input { setup, scenario } = self;
        let mut trace = Trace::default();
        certain(play(&mut Model::default(), setup, scenario, &mut trace));
        Case::of(scenario, setup, &trace, cause)
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
