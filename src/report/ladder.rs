//! The picture of a run: time downwards, a column for each client, one for the server, and the TCP states.

use crate::scenario::{Action, Client, Event, Scenario};
use crate::trace::{At, Called, Outcome, Reply, Step, TcpState, Trace};
use crate::verdict::outcome_words;
use std::collections::BTreeMap;
use std::fmt;

/// Widest picture; what does not fit is folded: first the states, then the clients, into one column each.
const WIDTH: usize = 100;
/// Most clients that have a column of their own.
const COLUMNS: usize = 5;
/// Longest cell in which an event and its result share a line.
const LINE: usize = 14;
/// Longest payload that is shown whole.
const PAYLOAD: usize = 12;

/// The picture of a run, as `Display` draws it: one step after the other with its number, what clients did in a column for
/// each of them, the calls that the server then made with their results, and the TCP state of each server-side socket
/// afterwards, where it changed.
///
/// The teardown is set apart, and `✗` marks the call that the server ended in. In a client's column `=` stands before a
/// result that is not plain success, and parentheses are around an event that did nothing.
#[derive(Clone, Copy, Debug)]
pub struct Ladder<'t> {
    scenario: &'t Scenario,
    trace: &'t Trace,
}

impl<'t> Ladder<'t> {
    /// The picture of what `trace` says of `scenario`.
    pub fn new(scenario: &'t Scenario, trace: &'t Trace) -> Ladder<'t> {
        Ladder { scenario, trace }
    }
}

impl fmt::Display for Ladder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.scenario.clients();
        let draw = |clients, sockets| Grid::draw(self, clients, sockets);
        let whole = || draw(Columns::Each(clients.clone()), Columns::Each(sockets(self.trace)));
        let states_folded = || draw(Columns::Each(clients.clone()), Columns::One);
        let fits = |grid: &Grid| clients.len() <= COLUMNS && grid.width() <= WIDTH;
        let grid = Some(whole()).filter(fits).or_else(|| Some(states_folded()).filter(fits));
        grid.unwrap_or_else(|| draw(Columns::One, Columns::One)).fmt(f)
    }
}

/// The clients with a server-side socket, in the order in which they connected.
fn sockets(trace: &Trace) -> Vec<Client> {
    let mut clients = Vec::new();
    for (client, _) in trace.steps().flat_map(|step| step.sockets) {
        if !clients.contains(client) {
            clients.push(*client);
        }
    }
    clients
}

/// A column for each of these clients, or one for all.
enum Columns {
    Each(Vec<Client>),
    One,
}

impl Columns {
    fn headings(&self, each: impl Fn(&Client) -> String, one: &str) -> Vec<String> {
        match self {
            Columns::Each(clients) => clients.iter().map(each).collect(),
            Columns::One => vec![one.to_owned()],
        }
    }
}

enum Row {
    Cells(Vec<String>),
    /// A line across, with a word in it.
    Rule(&'static str),
    /// Words that begin at the server's column and go on to the right.
    Server(String),
}

/// The cells of a picture, and what is known so far while they are filled.
struct Grid {
    rows: Vec<Row>,
    clients: Columns,
    sockets: Columns,
    /// The clients that have a descriptor of their connection.
    open: Vec<Client>,
    states: BTreeMap<Client, TcpState>,
}

impl Grid {
    fn draw(ladder: &Ladder<'_>, clients: Columns, sockets: Columns) -> Grid {
        let mut headings = vec![String::new()];
        headings.extend(clients.headings(Client::to_string, "clients"));
        headings.push("  server".to_owned());
        headings.extend(sockets.headings(|client| format!("{client}'s socket"), "sockets"));
        let rows = vec![Row::Cells(headings), Row::Rule("")];
        let mut grid = Grid { rows, clients, sockets, open: Vec::new(), states: BTreeMap::new() };

        let trace = ladder.trace;
        let steps = trace.steps().len();
        let mut teardown = false;
        for (i, step) in trace.steps().enumerate() {
            if !teardown && step.at.event().is_none() {
                teardown = true;
                grid.rows.push(Row::Rule("teardown"));
            }
            let end = Some(trace.outcome()).filter(|outcome| i + 1 == steps && outcome.at().is_some());
            grid.step(ladder.scenario, &step, end);
        }
        if matches!(trace.outcome(), Outcome::Survived(_)) {
            grid.rows.extend([Row::Rule(""), Row::Server(format!("  {}", outcome_words(trace.outcome())))]);
        }
        grid
    }

    /// Adds the lines of a step; `end` if the server ended in it.
    fn step(&mut self, scenario: &Scenario, step: &Step<'_>, end: Option<Outcome>) {
        let (number, event) = match step.at {
            at @ (At::Event(_) | At::Round { .. }) => (at.to_string(), at.of(scenario).cloned()),
            At::TeardownGo => (String::new(), Some(Event::Go)),
            At::Teardown(client) => (String::new(), Some(Event::Client(client, Action::Close))),
        };
        let mut columns = vec![vec![number]];
        columns.extend(self.client_cells(event.as_ref(), step.reply));
        columns.push(server_cells(event.as_ref(), step, end));
        let at_top = columns.len();
        columns.extend(self.socket_cells(step));

        let height = columns.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let cells = columns.iter().enumerate().map(|(i, column)| match i {
                // The states are those after the step, so they stand at its bottom.
                i if i >= at_top => (line + column.len()).checked_sub(height).map(|line| column[line].clone()),
                _ => column.get(line).cloned(),
            });
            let cells = cells.enumerate().map(|(i, cell)| cell.unwrap_or_else(|| self.filler(i, at_top))).collect();
            self.rows.push(Row::Cells(cells));
        }
        self.states.extend(step.sockets.iter().copied());
    }

    /// What stands in a cell of a column in which nothing happens: the line of a connection that goes on.
    fn filler(&self, column: usize, sockets_from: usize) -> String {
        let goes_on = match (&self.clients, &self.sockets) {
            (_, Columns::Each(sockets)) if column >= sockets_from => {
                sockets.get(column - sockets_from).is_some_and(|client| self.is_live(*client))
            }
            (Columns::Each(clients), _) if column > 0 => {
                clients.get(column - 1).is_some_and(|client| self.open.contains(client))
            }
            _ => false,
        };
        if goes_on { "│".to_owned() } else { String::new() }
    }

    fn is_live(&self, client: Client) -> bool {
        self.states.get(&client).is_some_and(|state| *state != TcpState::Close)
    }

    fn client_cells(&mut self, event: Option<&Event>, reply: Reply) -> Vec<Vec<String>> {
        let Some(Event::Client(who, action)) = event else {
            return match &self.clients {
                Columns::Each(clients) => vec![Vec::new(); clients.len()],
                Columns::One => vec![Vec::new()],
            };
        };
        match (action, reply) {
            (Action::Connect, Reply::Ok(_)) => self.open.push(*who),
            (Action::Close | Action::Rst, Reply::Ok(_)) => self.open.retain(|client| client != who),
            _ => {}
        }
        match &self.clients {
            Columns::Each(clients) => {
                let cell = |client: &Client| if client == who { client_cell("", action, reply) } else { Vec::new() };
                clients.iter().map(cell).collect()
            }
            Columns::One => vec![client_cell(&format!("{who} "), action, reply)],
        }
    }

    fn socket_cells(&self, step: &Step<'_>) -> Vec<Vec<String>> {
        let changed = |(client, state): &&(Client, TcpState)| self.states.get(client) != Some(state);
        match &self.sockets {
            Columns::One => {
                vec![step.sockets.iter().filter(changed).map(|(client, state)| format!("{client} {state}")).collect()]
            }
            Columns::Each(clients) => {
                let cell = |client: &Client| {
                    let state = step.sockets.iter().filter(|(who, _)| who == client).find(changed);
                    state.map(|(_, state)| state.to_string()).into_iter().collect()
                };
                clients.iter().map(cell).collect()
            }
        }
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            widths.resize(cells.len(), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    fn width(&self) -> usize {
        self.widths().iter().map(|width| width + 2).sum::<usize>().saturating_sub(2)
    }
}

/// An event and its result, on one line if it is short.
fn client_cell(who: &str, action: &Action, reply: Reply) -> Vec<String> {
    let mut text = action.to_string();
    if let (Action::Send(payload), true) = (action, text.chars().count() > PAYLOAD + 5) {
        text = format!("send {}…", payload.to_string().chars().take(PAYLOAD - 1).collect::<String>());
    }
    let (first, second) = match (action, reply) {
        (_, Reply::Nothing(reason)) => return cell(format!("{who}({text}:"), format!("{})", reason.words())),
        (Action::Recv, reply) => (text, reply.to_string()),
        (Action::Send(payload), Reply::Ok(n)) if payload.len() as u64 == u64::from(n) => {
            return vec![who.to_owned() + &text];
        }
        (Action::Send(_), reply) => (text, reply.to_string()),
        (_, Reply::Ok(_)) => return vec![who.to_owned() + &text],
        (_, reply) => (text, reply.to_string()),
    };
    cell(format!("{who}{first}"), format!("= {second}"))
}

fn cell(first: String, second: String) -> Vec<String> {
    match first.chars().count() + 1 + second.chars().count() {
        n if n <= LINE => vec![format!("{first} {second}")],
        _ => vec![first, format!(" {second}")],
    }
}

/// What is done to the gate, then the server's calls with the one that it ended in marked, then its end.
fn server_cells(event: Option<&Event>, step: &Step<'_>, end: Option<Outcome>) -> Vec<String> {
    let mut cells = Vec::new();
    match (event, step.reply) {
        (None | Some(Event::Client(..)), _) => {}
        (Some(event), Reply::Nothing(reason)) => cells.push(format!("  [{event}: {}]", reason.words())),
        (Some(event), _) => cells.push(format!("  [{event}]")),
    }
    cells.extend(step.calls.iter().map(|called: &Called| format!("  {called}")));
    if let Some(outcome) = end {
        if let (Some(last), false) = (cells.last_mut(), step.calls.is_empty()) {
            last.replace_range(..1, "✗");
        }
        cells.push(match outcome {
            Outcome::Killed { signal, .. } => format!("✗ killed by {signal}"),
            Outcome::Exited { code, .. } => format!("✗ exited with {code}"),
            outcome => format!("✗ {}", outcome.kind()),
        });
    }
    cells
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (widths, width) = (self.widths(), self.width());
        let server = widths.len()
            - 1
            - match &self.sockets {
                Columns::Each(clients) => clients.len(),
                Columns::One => 1,
            };
        for row in &self.rows {
            let mut line = String::new();
            match row {
                Row::Rule("") => line = "─".repeat(width),
                Row::Rule(word) => line = format!("── {word} {}", "─".repeat(width.saturating_sub(word.len() + 4))),
                Row::Server(words) => {
                    let column = widths[..server].iter().map(|width| width + 2).sum::<usize>();
                    // Long words begin further to the left rather than leave the picture.
                    line = " ".repeat(column.min(WIDTH.saturating_sub(words.chars().count())));
                    line += words;
                }
                Row::Cells(cells) => {
                    for (i, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                        line += &if i == 0 { format!("{cell:>width$}  ") } else { format!("{cell:width$}  ") };
                    }
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{setup, trace};
    use super::*;
    use crate::{Policy, Setup};

    fn ladder(scenario: &str, setup: &Setup) -> String {
        let (scenario, trace) = trace(scenario, setup);
        Ladder::new(&scenario, &trace).to_string()
    }

    fn width(ladder: &str) -> usize {
        ladder.lines().map(|line| line.chars().count()).max().unwrap_or(0)
    }

    #[test]
    fn the_gate_the_teardown_and_what_did_nothing_have_their_signs() {
        let setup = setup("double-greeter", Policy::Default);
        let scenario = "hold; hold; a connect; a send 5; a rst; fault accept EMFILE; step; a recv; d recv";
        let expected = "
   a               d                  server                 a's socket
────────────────────────────────────────────────────────────────────────
0                                     [hold]
1                                     [hold: already held]
2  connect                                                   ESTABLISHED
3  send 5                                                    │
4  rst                                                       CLOSE
5                                     [fault accept EMFILE]
6                                     [step]
                                      accept EMFILE
7  (recv: closed)
8                  (recv:
                    not connected)
── teardown ────────────────────────────────────────────────────────────
                                      [go]
                                      accept a
                                      send a ECONNRESET
                                    ✗ send a EPIPE SIGPIPE
                                    ✗ killed by SIGPIPE
";
        assert_eq!(format!("\n{}", ladder(scenario, &setup)), expected);
    }

    #[test]
    fn three_clients_with_the_longest_cells_fit() {
        let setup = setup("accept; send 26; send 16384; close", Policy::Default);
        let scenario = "hold; a connect; a send \"GET / HTTP/1.0\\r\\n\"; b connect; b send 16384; c connect; c fin; c send 1; \
                        b connect; c rst; go; a recv; b recv; c recv";
        let text = ladder(scenario, &setup);
        assert!(width(&text) <= WIDTH, "{text}");
        for part in ["send \"GET / HTTP…", "send 16384", "= EPIPE", "(connect:", "c CLOSE_WAIT"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn many_clients_share_a_column() {
        let expected = "
   clients        server     sockets
──────────────────────────────────────────
0  a connect      accept a
                  send a 26  a ESTABLISHED
1  b connect                 b ESTABLISHED
2  c connect                 c ESTABLISHED
3  d connect                 d ESTABLISHED
4  e connect                 e ESTABLISHED
5  f connect                 f ESTABLISHED
6  b rst                     b CLOSE
7  a recv = 26
8  a vanish
── teardown ──────────────────────────────
   c close                   c CLOSE_WAIT
   d close                   d CLOSE_WAIT
   e close                   e CLOSE_WAIT
   f close                   f CLOSE_WAIT
──────────────────────────────────────────
                  survived waiting on a
";
        let scenario = "a connect; b connect; c connect; d connect; e connect; f connect; b rst; a recv; a vanish";
        assert_eq!(format!("\n{}", ladder(scenario, &Setup::default())), expected);
    }

    #[test]
    fn every_end_is_marked() {
        let (scenario, survived) = trace("a connect", &Setup::default());
        let at = At::Event(0);
        for (outcome, mark) in [
            (Outcome::Exited { code: 3, at }, "✗ send a 26"),
            (Outcome::Exited { code: 3, at }, "✗ exited with 3"),
            (Outcome::Stuck { at }, "✗ stuck"),
        ] {
            let mut ended = Trace::default();
            for step in survived.steps().take(1) {
                step.calls.iter().for_each(|called| ended.push_call(*called));
                let sockets = |out: &mut Vec<_>| {
                    out.extend_from_slice(step.sockets);
                    fmt::Result::Ok(())
                };
                ended.push_step(step.at, step.reply, sockets).unwrap();
            }
            ended.finish(outcome);
            assert!(Ladder::new(&scenario, &ended).to_string().contains(mark), "{mark}");
        }
    }

    #[test]
    fn nothing_at_all_is_drawn_too() {
        assert!(ladder("", &Setup::default()).ends_with("survived\n"));
        let (_, trace) = trace("a connect; b connect", &Setup::default());
        // A trace that is of another scenario is no reason to panic.
        assert!(Ladder::new(&Scenario::default(), &trace).to_string().contains("accept a"));
    }
}
