//! The sequence diagram of a run: time goes downwards; there is a column for each client, one for the server, and one for the TCP state of
//! each server-side socket.

mod server;

use crate::oracle::outcome_words;
use crate::scenario::{Action, Client, Event, Scenario};
use crate::trace::{At, Outcome, Reply, Step, TcpState, Trace};
use server::ServerColumn;
use std::collections::BTreeMap;
use std::fmt;

/// Largest width in characters. A wider diagram gets one common column for the socket states and, if that is not enough, one for the
/// clients too.
const WIDTH: usize = 100;
/// Most clients with a column each. With more clients there is one column for all of them, and one for all socket states.
const COLUMNS: usize = 5;
/// Longest text, in characters, of an event and its result on one line.
const LINE: usize = 14;
/// Longest payload that is shown in full, in characters of its text form.
const PAYLOAD: usize = 12;

/// The diagram of a run, drawn by `Display`. Each step has its number, the client's event in that client's column, the server calls that
/// followed with their results, and the TCP state of each server-side socket that changed.
///
/// If several tasks of the server make calls, each call begins with the number of its task ([`Detail::task`](crate::Detail::task)).
/// `(at 60.0 s)` says when the calls below it were made, from the beginning of the run, where time had passed.
/// A horizontal line separates the rounds of a block, and the teardown. Equal consecutive rounds are drawn once, with their number, and so
/// is a repeated sequence of calls. If the server ended, `✗` marks its last call and how it ended. In a client's column `=` precedes a
/// result that is not plain success, and an event that did nothing is in parentheses.
#[derive(Clone, Copy, Debug)]
pub struct Ladder<'t> {
    scenario: &'t Scenario,
    trace: &'t Trace,
}

impl<'t> Ladder<'t> {
    /// The diagram of `trace`, which a run of `scenario` produced.
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

/// The clients that have a server-side socket, in the order in which they connected.
fn sockets(trace: &Trace) -> Vec<Client> {
    let mut clients = Vec::new();
    for (client, _) in trace.steps().flat_map(|step| step.sockets) {
        if !clients.contains(client) {
            clients.push(*client);
        }
    }
    clients
}

/// The sections of a diagram, separated by horizontal lines: events outside blocks, a round of a block, the teardown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Events,
    Round(usize, u16),
    Teardown,
}

impl Part {
    fn of(at: At) -> Part {
        match at {
            At::Event(_) => Part::Events,
            At::Round { event, round, .. } => Part::Round(event, round),
            At::TeardownGo | At::Teardown(_) => Part::Teardown,
        }
    }

    /// The label in the horizontal line above this section. `times` is the number of equal rounds.
    fn words(self, scenario: &Scenario, times: u16) -> String {
        match self {
            Part::Events => String::new(),
            Part::Teardown => "teardown".to_owned(),
            Part::Round(event, round) => {
                let rounds = match scenario.events().get(event) {
                    Some(Event::Repeat(repeat)) => format!("repeat {}: ", repeat.times()),
                    _ => String::new(),
                };
                match times {
                    1 => format!("{rounds}round {round}"),
                    _ => format!("{rounds}rounds {round} to {} ×{times}", round + times - 1),
                }
            }
        }
    }
}

/// A column for each of these clients, or one column for all.
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
    /// A horizontal line with this label.
    Rule(String),
    /// Text that begins in the server's column and may extend to the right of it.
    Server(String),
}

/// The cells of a diagram, and the state of the clients and sockets while they are filled.
struct Grid {
    rows: Vec<Row>,
    clients: Columns,
    sockets: Columns,
    /// The clients that have connected and not closed.
    open: Vec<Client>,
    states: BTreeMap<Client, TcpState>,
    server: ServerColumn,
}

impl Grid {
    fn draw(ladder: &Ladder<'_>, clients: Columns, sockets: Columns) -> Grid {
        let mut headings = vec![String::new()];
        headings.extend(clients.headings(Client::to_string, "clients"));
        headings.push("  server".to_owned());
        headings.extend(sockets.headings(|client| format!("{client}'s socket"), "sockets"));
        let rows = vec![Row::Cells(headings), Row::Rule(String::new())];
        let trace = ladder.trace;
        let server = ServerColumn::of(trace);
        let mut grid = Grid { rows, clients, sockets, open: Vec::new(), states: BTreeMap::new(), server };

        let steps = trace.steps().len();
        let mut last = Part::Events;
        for (i, step) in trace.steps().enumerate() {
            let part = Part::of(step.at);
            if part != last {
                grid.rows.push(Row::Rule(part.words(ladder.scenario, step.times)));
                last = part;
            }
            let end = Some(trace.outcome()).filter(|outcome| i + 1 == steps && outcome.at().is_some());
            grid.step(ladder.scenario, &step, end);
        }
        if matches!(trace.outcome(), Outcome::Survived(_)) {
            grid.rows.extend([Row::Rule(String::new()), Row::Server(format!("  {}", outcome_words(trace.outcome())))]);
        }
        grid
    }

    /// Adds the lines of a step. `end` is the outcome, if the server ended in this step.
    fn step(&mut self, scenario: &Scenario, step: &Step<'_>, end: Option<Outcome>) {
        let (number, event) = match step.at {
            at @ (At::Event(_) | At::Round { .. }) => (at.to_string(), at.of(scenario).cloned()),
            At::TeardownGo => (String::new(), Some(Event::Go)),
            At::Teardown(client) => (String::new(), Some(Event::Client(client, Action::Close))),
        };
        let mut columns = vec![vec![number]];
        columns.extend(self.client_cells(event.as_ref(), step.reply));
        columns.push(self.server.cells(event.as_ref(), step, end));
        let at_top = columns.len();
        columns.extend(self.socket_cells(step));

        let height = columns.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let cells = columns.iter().enumerate().map(|(i, column)| match i {
                // The states are those after the step, so they stand in its last lines.
                i if i >= at_top => (line + column.len()).checked_sub(height).map(|line| column[line].clone()),
                _ => column.get(line).cloned(),
            });
            let cells = cells.enumerate().map(|(i, cell)| cell.unwrap_or_else(|| self.filler(i, at_top))).collect();
            self.rows.push(Row::Cells(cells));
        }
        self.states.extend(step.sockets.iter().copied());
    }

    /// The text of a cell in a column without an entry in this line: `│` if the column's client or socket is open, else nothing.
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

/// An event and its result, on one line if both fit into [`LINE`] characters.
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
                Row::Rule(words) if words.is_empty() => line = "─".repeat(width),
                Row::Rule(words) => {
                    let rest = width.saturating_sub(words.chars().count() + 4);
                    line = format!("── {words} {}", "─".repeat(rest));
                }
                Row::Server(words) => {
                    let column = widths[..server].iter().map(|width| width + 2).sum::<usize>();
                    // Long text is moved to the left, so that it does not exceed the width of the diagram.
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
mod tests;
