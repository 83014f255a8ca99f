//! Triage on the kernel, and in worlds that deviate from it.

use super::*;
use crate::case::Case;
use crate::linux::Kernel;
use crate::scenario::Client;
use crate::subject::{Policy, Setup};
use crate::trace::TcpState;

fn input(scenario: &str) -> Input {
    Input::new(Setup::default(), scenario.parse().unwrap())
}

/// The findings that these artifacts give on the kernel, each with the index of its artifact.
fn findings(artifacts: &[Vec<u8>]) -> Vec<(usize, Finding)> {
    let mut kernel = Kernel::fresh().unwrap();
    let all = artifacts.iter().map(|bytes| triage(&mut kernel, &Input::decode(bytes)).unwrap());
    let fails = all.enumerate().filter_map(|(i, triage)| match triage {
        Triage::Fails(finding) => Some((i, *finding)),
        Triage::Holds => None,
        Triage::Flaky { finding, .. } => panic!("flaky: {:?}", finding.compared),
    });
    fails.collect()
}

#[test]
fn artifacts_of_the_same_death_become_one_small_case_that_replays() {
    let artifacts = [
        "a connect; b connect; c connect; c send 5; b fin; hold; b rst; go; a close; c recv",
        "a connect; a close",
        "hold; a connect; a fin; a send 5; a rst; go",
        "a connect; d connect; d fin; d rst; a rst",
    ];
    let mut artifacts = artifacts.map(|s| input(s).encode()).to_vec();
    // The send of this server fails whatever the client does.
    let other = Setup::new("accept; shutdown; send 1; close".parse().unwrap(), Policy::Default);
    artifacts.push(Input::new(other, "a connect".parse().unwrap()).encode());
    let groups = Group::all(findings(&artifacts));
    assert_eq!(groups.len(), 2, "{groups:#?}");
    assert_eq!((groups[0].signature.to_string().as_str(), &groups[0].sources[..]), ("death in send", &[4][..]));
    assert_eq!(groups[1].signature.to_string(), "death in send, socket in CLOSE");
    assert_eq!(groups[1].sources, [0, 2, 3]);
    let group = groups[1].clone().reduced(&mut Kernel::fresh().unwrap()).unwrap();
    assert_eq!(group.finding.scenario.to_string(), "a connect; b connect; b fin; b rst; a fin");
    let case: Case = Case::of_finding(&group.finding, "").to_string().parse().unwrap();
    let Input { setup, scenario } = Input::of(&case).unwrap();
    let mut trace = Trace::default();
    play(&mut Kernel::fresh().unwrap(), &setup, &scenario, &mut trace).unwrap();
    assert_eq!(case.check(&trace), Ok(()));
}

#[test]
fn a_case_and_its_bytes_are_the_same_input() {
    for policy in Policy::ALL {
        let input =
            Input::new(Setup::new("careless".parse().unwrap(), policy), input("a connect; b rst; a fin").scenario);
        let case = Input::decode(&input.encode()).case("");
        assert_eq!(Input::of(&case).unwrap().encode(), input.encode());
    }
}

#[test]
fn a_disagreement_is_told_by_the_call_that_differs() {
    // A run of the model under another policy stands in for a kernel that deviates from the model.
    let death = input("a connect; b connect; b fin; b rst; a close");
    let mut traces = [Trace::default(), Trace::default()];
    for (policy, trace) in [Policy::Ignore, Policy::Default].into_iter().zip(&mut traces) {
        let setup = Setup::new(death.setup.program.clone(), policy);
        certain(play(&mut Model::default(), &setup, &death.scenario, trace));
    }
    let finding = judge(&death.scenario, &death.setup, &traces[0], &traces[1]).unwrap();
    let group = Group::all([("crash", finding)]).remove(0);
    assert_eq!(group.signature.to_string(), "disagreement in recv, socket in CLOSE");
}

/// A model world in which every second server ignores SIGPIPE.
struct Fickle(Model, u32);

impl crate::world::Sealed for Fickle {}

impl World for Fickle {
    type Error = std::convert::Infallible;
    type Setup = Setup;

    fn start(&mut self, setup: &Setup) -> Result<(), Self::Error> {
        self.1 += 1;
        let policy = if self.1.is_multiple_of(2) { Policy::Ignore } else { setup.policy };
        self.0.start(&Setup::new(setup.program.clone(), policy))
    }

    fn act(&mut self, client: Client, action: &crate::Action) -> Result<crate::Reply, Self::Error> {
        self.0.act(client, action)
    }

    fn fault(&mut self, fault: crate::Fault) {
        self.0.fault(fault);
    }

    fn wait(&mut self, time: std::time::Duration) -> Result<(), Self::Error> {
        self.0.wait(time)
    }

    fn forget(&mut self, clients: &[Client]) -> Result<(), Self::Error> {
        self.0.forget(clients)
    }

    fn close(&mut self, client: Client) -> Result<crate::Reply, Self::Error> {
        self.0.close(client)
    }

    fn step(&mut self) -> Result<crate::Stepped, Self::Error> {
        self.0.step()
    }

    fn sockets(&mut self, out: &mut Vec<(Client, TcpState)>) -> Result<(), Self::Error> {
        self.0.sockets(out)
    }

    fn next_open(&self, after: Option<Client>) -> Option<Client> {
        self.0.next_open(after)
    }

    fn survivor(&mut self) -> Result<crate::Survivor, Self::Error> {
        self.0.survivor()
    }

    fn finish(&mut self) -> Result<(), Self::Error> {
        self.0.finish()
    }
}

#[test]
fn what_fails_now_and_then_is_flaky() {
    let death = input("a connect; b connect; b fin; b rst; a close");
    let Triage::Flaky { failed, finding } = certain(triage(&mut Fickle(Model::default(), 0), &death)) else {
        panic!("not the same each time");
    };
    assert_eq!((failed, finding.kind()), (3, Kind::Nondeterminism));
    assert!(finding.compared.is_some_and(|compared| compared.difference.is_some()));
}
