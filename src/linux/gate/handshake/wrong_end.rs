//! Wrong ends of a server's process. One can be planted ([`seeded_defects`](crate::model::seeded_defects)) to check what a fuzzer makes of
//! it: a server that aborts is a finding, not a crash of the fuzzer itself.

use crate::model::seeded_defects::{Plant, planted};

/// A way in which none of our servers should ever end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WrongEnd {
    Abort,
    Exit,
    Fault,
    Terminate,
}

impl WrongEnd {
    /// The planted wrong end, if any. Only the harness may call this: a server may not read the environment.
    ///
    /// # Panics
    ///
    /// If the planted end dumps core and, on this kernel, a core dump of the server would end the harness too.
    pub(crate) fn planted() -> Option<WrongEnd> {
        let ends = [
            (Plant::ServerAborts, WrongEnd::Abort),
            (Plant::ServerExits, WrongEnd::Exit),
            (Plant::ServerFaults, WrongEnd::Fault),
            (Plant::ServerTerminates, WrongEnd::Terminate),
        ];
        let end = ends.into_iter().find(|(plant, _)| planted(*plant)).map(|(_, end)| end);
        assert!(
            !end.is_some_and(WrongEnd::dumps_core) || !crate::linux::requirements::core_dumps_spread(),
            "BROKENPIPE_PLANT: before Linux 5.16 a server that dumps core ends the harness, whose memory it shares"
        );
        end
    }

    /// Whether the kernel dumps core when a process ends in this way (signal(7)).
    const fn dumps_core(self) -> bool {
        matches!(self, WrongEnd::Abort | WrongEnd::Fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_dump_core_are_those_that_may_end_the_harness_too() {
        let all = [WrongEnd::Abort, WrongEnd::Exit, WrongEnd::Fault, WrongEnd::Terminate];
        assert_eq!(all.map(WrongEnd::dumps_core), [true, false, true, false]);
    }
}
