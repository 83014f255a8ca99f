//! Seeded defects: wrong rules of the model, and wrong ends of a server's process. Planting a defect tests that the checks find
//! it.
//!
//! Defects exist only in builds with `--cfg brokenpipe_plant`. In all other builds [`planted`] is a constant `false`, so the
//! defects compile to nothing. The environment variable `BROKENPIPE_PLANT` names the defect to plant.

/// Declares the defects and the names by which `BROKENPIPE_PLANT` selects them.
macro_rules! plants {
    ($($name:ident $word:literal $what:literal)*) => {
        /// A defect that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Plant { $(#[doc = $what] $name),* }

        impl Plant {
            /// Every defect, with its name.
            #[cfg(brokenpipe_plant)]
            const ALL: &'static [(Plant, &'static str)] = &[$((Plant::$name, $word)),*];
        }
    };
}

plants! {
    CloseWaitResetIsEconnreset "close-wait-rst" "An RST in CLOSE_WAIT leaves ECONNRESET."
    EstablishedResetIsEpipe "established-rst" "An RST in ESTABLISHED leaves EPIPE."
    FinWaitResetIsSilent "fin-wait-rst" "An RST in FIN_WAIT_2 leaves no error."
    ErrorNotOneShot "one-shot" "A send does not consume `sk_err`."
    RecvConsumesErrorAfterFin "recv-after-fin" "A recv consumes `sk_err` although a FIN was seen."
    UnreadDataIgnoredOnClose "unread-close" "A close with unread data sends a FIN."
    OrphanSwallowsData "orphan-data" "A closed socket takes data without an RST."
    ResetDropsUnread "reset-drops-unread" "An RST empties the receive queue."
    NoSignalRaises "nosignal" "MSG_NOSIGNAL does not keep SIGPIPE away."
    BlockedLeavesNothing "blocked-pending" "A blocked SIGPIPE does not stay pending."
    TeardownBackwards "teardown-order" "The teardown closes the last client first."
    UrgentIgnoredOnClose "urgent-unread" "A close with an urgent byte unread, and nothing else, sends a FIN."
    UrgentIsReadable "urgent-readable" "A recv does not wait at an urgent byte."
    UrgentStopsNobody "urgent-inline" "A recv does not stop before an urgent byte."
    UrgentTwiceKeepsBoth "urgent-twice" "A second urgent byte makes the first one ordinary data, wherever that is."
    StalledReads "stalled-reads" "A client that has stalled reads all the same."
    BlockKeepsNames "block-names" "A client that connects in a block is the client of the round before."
    AcceptSkipsReset "accept-skips-reset" "A connection that was reset leaves the accept queue."
    ServerAborts "server-abort" "A server aborts on ECONNRESET."
    ServerExits "server-exit" "A server exits on ECONNRESET."
    ServerFaults "server-segv" "A server reads from an address without memory on ECONNRESET."
    ServerTerminates "server-term" "A server terminates itself on ECONNRESET."
}

/// Whether this defect is planted in this build and run.
#[cfg(not(brokenpipe_plant))]
pub(crate) const fn planted(_: Plant) -> bool {
    false
}

/// Whether this defect is planted in this build and run.
#[cfg(brokenpipe_plant)]
pub(crate) fn planted(plant: Plant) -> bool {
    static WANTED: std::sync::OnceLock<Option<Plant>> = std::sync::OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let name = std::env::var("BROKENPIPE_PLANT").ok()?;
        let found = Plant::ALL.iter().find(|p| p.1 == name).map(|p| p.0);
        assert!(
            found.is_some(),
            "BROKENPIPE_PLANT: no rule `{name}`; there are {:?}",
            Plant::ALL.iter().map(|p| p.1).collect::<Vec<_>>()
        );
        found
    });
    *wanted == Some(plant)
}
