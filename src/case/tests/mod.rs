mod command;
mod program;
