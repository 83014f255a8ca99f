//! Any server: a command, and the order of events that makes it die, hang, leak or spin.

