//! Wrong rules, one of which can be planted to see that the checks find it: of the model, and of how a server's process ends.
//!
//! They exist only in builds with `--cfg brokenpipe_plant`; in all others [`planted`] is a constant `false` and nothing of
//! them is left. The environment variable `BROKENPIPE_PLANT` names the one to plant.

/// Declares the rules and the names under which they are planted.
macro_rules! plants {
    ($($name:ident $word:literal $what:literal)*) => {
        /// A rule that can be made wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Plant { $(#[doc = $what] $name),* }

        impl Plant {
            /// Every one, with its name.
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
    UrgentIsReadable "urgent-readable" "An urgent byte that is next keeps no recv waiting."
    UrgentStopsNobody "urgent-inline" "A recv does not stop before an urgent byte."
    UrgentTwiceKeepsBoth "urgent-twice" "A second urgent byte makes data of the first one wherever that is."
    StalledReads "stalled-reads" "A client that has stalled reads all the same."
    BlockKeepsNames "block-names" "A client that connects in a block is the one from the round before."
    AcceptSkipsReset "accept-skips-reset" "A connection that was reset leaves the accept queue."
    ServerAborts "server-abort" "A server aborts on ECONNRESET."
    ServerExits "server-exit" "A server exits on ECONNRESET."
    ServerFaults "server-segv" "A server reads where no memory is, on ECONNRESET."
    ServerTerminates "server-term" "A server terminates itself on ECONNRESET."
}

/// Whether this rule is wrong in this build and run.
#[cfg(not(brokenpipe_plant))]
pub(crate) const fn planted(_: Plant) -> bool {
    false
}

/// Whether this rule is wrong in this build and run.
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
