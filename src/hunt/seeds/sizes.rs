//! Requests whose sizes are at the edges of common buffers.

use super::order::{Order, start};
use crate::protocol::Frame;
use crate::scenario::Action::{Connect, Fin, Recv};
use crate::scenario::{Event, Scenario};

/// Sizes of requests at the edges of common buffers, in bytes.
pub(super) const EDGES: [usize; 8] = [1, 4095, 4096, 4097, 8191, 8192, 8193, 16_384];
/// Sizes that no single `send` carries, in bytes.
const LARGER: [usize; 2] = [65_536, 1 << 20];

/// Scenarios with requests at the edges of buffers: the request as a whole, which the server reads at once, and what is declared in it.
pub(in crate::hunt) fn sized(frames: &[Frame]) -> Vec<Scenario> {
    let at_once = frames.iter().flat_map(|frame| EDGES.iter().filter_map(|size| at_once(frame, *size)));
    let declared = frames.iter().filter(|frame| frame.is_declared);
    let declared = declared.flat_map(|frame| EDGES.iter().chain(&LARGER).flat_map(|size| declared_of(frame, *size)));
    at_once.chain(declared).map(Order::scenario).collect()
}

/// A request of so many bytes, which lie there as a whole when the server reads. `None` if it cannot be so short.
fn at_once(frame: &Frame, size: usize) -> Option<Order> {
    let tail = frame.tail.len();
    // The head says how much is left for filling, and is longer if that number is.
    let left = |filling: usize| size.checked_sub((frame.head)(filling).len() + tail);
    let filling = left(left(size)?)?;
    let order = start().a(Connect).then(Event::Hold);
    Some(request(order, frame, filling, filling).go().a(Recv))
}

/// A request that declares so many bytes, and all of them; the same with one byte less and the end.
fn declared_of(frame: &Frame, size: usize) -> [Order; 2] {
    let asked = |sent| request(start().a(Connect), frame, size, sent);
    let head = start().a(Connect).says(&(frame.head)(size));
    [asked(size).a(Recv), head.body_of(size - 1).a(Fin)]
}

fn request(order: Order, frame: &Frame, declared: usize, sent: usize) -> Order {
    order.says(&(frame.head)(declared)).body_of(sent).says(frame.tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::bodies::sent;
    use crate::protocol::Protocol;

    #[test]
    fn requests_have_the_sizes_of_buffers_and_declare_what_they_carry() {
        for protocol in Protocol::ALL {
            let all = sized(protocol.frames());
            let (at_once, declared): (Vec<&Scenario>, Vec<&Scenario>) =
                all.iter().partition(|scenario| scenario.events().contains(&Event::Hold));
            assert!(at_once.iter().all(|scenario| EDGES.contains(&sent(scenario))), "{protocol}");
            let of = |size: usize| {
                declared.iter().filter(|scenario| scenario.to_string().contains(&size.to_string())).count()
            };
            if protocol.frames().iter().any(|frame| frame.is_declared) {
                assert!([4095, 8192, 65_536, 1 << 20].iter().all(|size| of(*size) >= 2), "{protocol}");
            }
        }
        let http = sized(Protocol::Http.frames());
        let text = http.last().map(ToString::to_string).unwrap_or_default();
        assert!(text.contains("Content-Length: 1048576"), "{text}");
        assert!(text.ends_with("repeat 65 { a send 16000 }; a send 8575; a fin"), "{text}");
    }
}
