//! One input: a server of any program and policy, on the real kernel and in the model.
//!
//! It fails on whatever [`judge`] finds, but for a death that the model predicted under `default`: that is no bug of
//! brokenpipe's, and what `brokenpipe hunt` is for. The same server serves input after input; what it does wrong must come true
//! on a fresh one, or it is told as what it then is: the same scenario, twice, two traces.
#![no_main]

use brokenpipe::{Finding, Input, Kernel, KernelError, Kind, Model, Policy, Setup, Trace, compare_policies};
use brokenpipe::{compare_runs, judge, play, report};
use brokenpipe_fuzz::counters::Counters;
use brokenpipe_fuzz::{feedback, is_short, lot, mutate};
use libfuzzer_sys::{Corpus, fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::cell::RefCell;
use std::sync::LazyLock;

/// Set to anything, libFuzzer goes by its own coverage alone, the model's: the other half of the experiment.
static FEEDBACK: LazyLock<bool> = LazyLock::new(|| std::env::var_os("BROKENPIPE_NO_FEEDBACK").is_none());
/// Set to anything, what was reached is counted, and printed at the end.
static REACH: LazyLock<bool> = LazyLock::new(|| std::env::var_os("BROKENPIPE_REACH").is_some());

/// One input in so many is played in the model under every policy; the target of that name does so with all of them.
const POLICIES: u64 = 16;

/// The exit code when this machine could not play: no finding, and no artifact.
const MACHINE: i32 = 3;

/// What is kept from input to input.
#[derive(Default)]
struct Worlds {
    kernel: Option<Kernel>,
    model: Model,
    real: Trace,
    expected: Trace,
    counters: Counters,
}

thread_local! {
    static WORLDS: RefCell<Worlds> = RefCell::default();
}

fuzz_target!(init: begin(), |data: &[u8]| -> Corpus {
    let input = Input::decode(data);
    if !is_short(&input.scenario) {
        return Corpus::Reject;
    }
    WORLDS.with_borrow_mut(|worlds| worlds.check(&input, lot(data)));
    Corpus::Keep
});

/// The world comes first of all: it keeps the process to the core that all worlds of its session are on. A session that runs on two cores
/// and then on one is taken for a busy one for a while.
fn begin() {
    WORLDS.with_borrow_mut(|worlds| worlds.kernel = Kernel::new().ok());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed, fuzzer_mutate)
});

fuzz_crossover!(|data1: &[u8], data2: &[u8], out: &mut [u8], seed: u32| {
    mutate::cross_over(data1, data2, out, seed)
});

impl Worlds {
    fn check(&mut self, input: &Input, lot: u64) {
        let Input { setup, scenario } = input;
        let Ok(()) = play(&mut self.model, setup, scenario, &mut self.expected);
        if lot.is_multiple_of(POLICIES) {
            self.compare_policies(input);
        }
        self.play_real(input);
        if *FEEDBACK {
            feedback::count(&self.real);
        }
        if *REACH {
            self.counters.without(|| feedback::reach(&self.real));
        }
        if let Some(finding) = judge(scenario, setup, &self.real, &self.expected)
            && finding.kind() != Kind::Death
        {
            self.confirm(&finding, input);
        }
        if *FEEDBACK {
            // Last of all: what comes after it is counted.
            self.counters.once();
        }
    }

    /// Policies differ in nothing before the first broken send. It is asked of the model's traces: the kernel's are compared with them,
    /// so that what holds of the model's five holds of the kernel's.
    fn compare_policies(&self, input: &Input) {
        let Input { setup, scenario } = input;
        let mut traces: [Trace; Policy::ALL.len()] = Default::default();
        for (policy, trace) in Policy::ALL.into_iter().zip(&mut traces) {
            let setup = Setup::new(setup.program.clone(), policy);
            let Ok(()) = play(&mut Model::default(), &setup, scenario, trace);
        }
        let all: Vec<_> = Policy::ALL.into_iter().zip(&traces).collect();
        let Some(difference) = compare_policies(&all) else {
            return;
        };
        let traces = [&self.expected, &self.expected];
        fail(&Finding::of_program(Kind::PolicyDifference, scenario, setup, traces, Some(difference)), input);
    }

    /// Plays on the kernel, in a worker that lives as long as the process.
    fn play_real(&mut self, input: &Input) {
        let played = self.counters.without(|| -> Result<(), KernelError> {
            let kernel = match &mut self.kernel {
                Some(kernel) => kernel,
                none => none.insert(Kernel::new()?),
            };
            play(kernel, &input.setup, &input.scenario, &mut self.real)
        });
        if let Err(error) = played {
            machine(&error);
        }
    }

    /// Plays an input that failed against a fresh server, and fails with what comes of that.
    fn confirm(&self, finding: &Finding, input: &Input) {
        let Input { setup, scenario } = input;
        let mut again = Trace::default();
        match Kernel::fresh().and_then(|mut kernel| play(&mut kernel, setup, scenario, &mut again)) {
            Ok(()) => {}
            Err(error) => machine(&error),
        }
        match compare_runs(&finding.trace, &again) {
            None => fail(finding, input),
            Some(difference) => {
                let traces = [&finding.trace, &again];
                fail(&Finding::of_program(Kind::Nondeterminism, scenario, setup, traces, Some(difference)), input)
            }
        }
    }
}

/// Ends the process with a finding. What there is to do comes first: libFuzzer's and the backtrace's many lines follow.
fn fail(finding: &Finding, input: &Input) -> ! {
    let Input { setup, scenario } = input;
    let (text, replay) = (report::finding(finding), input.replay());
    let verdict = text.lines().next().unwrap_or(finding.kind().name());
    panic!(
        "{verdict}\nscenario: {scenario}\nserver:   {setup}\nreplay:   {replay}\n\
         keep it:  brokenpipe triage ARTIFACT, the file that is named below\n\n{text}"
    );
}

/// Ends the process because this machine cannot play. Not by a panic, which would leave an artifact, nor by `exit`, which libFuzzer
/// takes for a crash too.
fn machine(error: &KernelError) -> ! {
    eprintln!("this machine cannot go on: {error}");
    // SAFETY: it takes no pointer, and does not return.
    unsafe { libc::_exit(MACHINE) }
}
