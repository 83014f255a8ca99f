//! Wrong ends of a server's process, one of which can be planted ([`seeded_defects`](crate::model::seeded_defects)) to see what a fuzzer makes of it:
//! a server that aborts is a finding, and no crash of the fuzzer's own.

use crate::model::seeded_defects::{Plant, planted};

/// A way in which no server of ours should ever end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WrongEnd {
    Abort,
    Exit,
    Fault,
    Terminate,
}

impl WrongEnd {
    /// The one that is planted. It is for the harness to ask: a server may not look into the environment.
    ///
    /// # Panics
    ///
    /// If it dumps core, on a kernel where that would end the harness too.
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

    /// Whether the kernel dumps core of a process that ends so (signal(7)).
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
