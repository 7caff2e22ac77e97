mod access;
mod answers;
mod harness;
mod inputs;
mod ops;
mod repeats;
mod service;
mod stop;
